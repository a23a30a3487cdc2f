// SPDX-License-Identifier: BSD-2-Clause
// What a workload did, as the model saw it: the filesystem after each of its operations.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/crash/model.h"
#include "tests/crash/workload.h"

namespace mirdax::crash {

// When the power went: how many operations had begun, and how many of those had returned. They run
// one after another, so one at most was under way.
struct Moment {
  uint32_t begun = 0;
  uint32_t returned = 0;
  friend bool operator==(const Moment&, const Moment&) = default;
};

class History {
 public:
  // `start` is durable before the first operation. `always_synced`: so is each operation when it
  // has returned (-o sync).
  explicit History(State start, bool always_synced = false) : always_synced_(always_synced) {
    states_.push_back(std::move(start));
  }

  // The next operation, and whether the volume did it as asked. `done` is false when it was refused
  // (as the model wants it, or for want of space): nothing changed, and a sync made nothing
  // durable. Returns what the model says that the call must answer.
  std::optional<ErrorCode> Add(const Operation& operation, bool done);

  uint32_t size() const noexcept { return static_cast<uint32_t>(operations_.size()); }
  // 1, 2, 3...
  const Operation& At(uint32_t index) const { return operations_[index - 1]; }
  // After operation `index`; 0: before the first.
  const State& After(uint32_t index) const { return states_[index]; }

  // The last sync point that had returned: what was named before it is durable. 0: the start.
  uint32_t NamesDurable(Moment moment) const;
  // The last one that covers the bytes of `node`; with `times`, one that covers its times too.
  uint32_t BytesDurable(NodeId node, Moment moment, bool times = false) const;

 private:
  bool always_synced_;
  std::vector<Operation> operations_;
  std::vector<SyncScope> scopes_;  // by index - 1
  std::vector<NodeId> synced_;     // by index - 1: the node of scope kFile
  std::vector<State> states_;
};

}  // namespace mirdax::crash
