// SPDX-License-Identifier: BSD-2-Clause
// How long a wait polls before it blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

#include "fs/base/clock.h"

namespace mirdax {

// The longest poll of both ends of a data connection: what KVM takes (halt_poll_ns). Long enough
// for a mirror to be met polling by a writer that syncs again at once, also where a wake-up costs
// as much as a sync.
inline constexpr std::chrono::microseconds kLongestPoll{200};

// What KVM does for idle processors (Linux, virt/kvm/halt-polling): as long as waits are short,
// polling saves a wake-up, which costs more than the wait; a wait that was long says that polling
// was wasted, and the next one blocks at once until short ones come back. Between two polls the
// processor is offered to others: where cores are few, the answer that is waited for may need it.
//
// Threads: one at a time.
class AdaptivePoll {
 public:
  AdaptivePoll(Clock& clock, std::chrono::nanoseconds longest)
      : clock_(clock), longest_(static_cast<uint64_t>(longest.count())) {}

  // Waits for `ready()`: polls it as long as that pays, and calls `block()` when it does not;
  // `block()` returns when ready() may be true, or for reasons of its own.
  template <typename Ready, typename Block>
  void Wait(Ready ready, Block block) {
    const uint64_t begin = clock_.MonotonicNanoseconds();
    uint64_t waited = 0;
    while (waited < budget_) {
      if (ready()) return;
      std::this_thread::yield();
      waited = clock_.MonotonicNanoseconds() - begin;
    }
    if (ready()) return;
    block();
    budget_ = clock_.MonotonicNanoseconds() - begin <= longest_ ? longest_ : 0;
  }

 private:
  Clock& clock_;
  const uint64_t longest_;  // nanoseconds
  uint64_t budget_ = 0;     // ditto
};

}  // namespace mirdax
