// SPDX-License-Identifier: BSD-2-Clause
// A moment of Clock::MonotonicNanoseconds() after which a wait gives up (R10).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "fs/base/clock.h"

namespace mirdax {

using Deadline = uint64_t;

inline Deadline After(Clock& clock, std::chrono::nanoseconds timeout) {
  return clock.MonotonicNanoseconds() + static_cast<uint64_t>(timeout.count());
}

// Milliseconds left, rounded up, for poll(2); 0 when it has passed.
inline int MillisecondsLeft(Clock& clock, Deadline deadline) {
  const uint64_t now = clock.MonotonicNanoseconds();
  if (now >= deadline) return 0;
  return static_cast<int>(std::min<uint64_t>((deadline - now + 999'999) / 1'000'000, 3'600'000));
}

}  // namespace mirdax
