// SPDX-License-Identifier: BSD-2-Clause
// What a workload did, as the model saw it: the filesystem after each of its operations.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/crash/model.h"
#include "tests/crash/workload.h"

namespace mirdax::crash {

// When the power went: operations 1..begun had begun, and of 1..returned all had returned but those
// that are `open`. Where there is one client, they run one after another, and none is open.
struct Moment {
  uint32_t begun = 0;
  uint32_t returned = 0;
  uint64_t open = 0;  // bit i - 1: operation i

  bool HasReturned(uint32_t index) const noexcept {
    return index <= returned && (index > 64 || (open >> (index - 1) & 1) == 0);
  }
  friend bool operator==(const Moment&, const Moment&) = default;
};

class History {
 public:
  // What is durable when an operation has returned that is no sync point itself.
  enum class Synced : uint8_t {
    kNothing,
    kEverything,  // -o sync, and one client
    kItself,      // -o sync: what it did, and names before it; others' bytes are theirs to sync
  };

  // `start` is durable before the first operation.
  explicit History(State start, Synced synced = Synced::kNothing) : synced_by_mount_(synced) {
    states_.push_back(std::move(start));
  }

  // The next operation, and whether the volume did it as asked. `done` is false when it was refused
  // (as the model wants it, or for want of space): nothing changed, and a sync made nothing
  // durable. Returns what the model says that the call must answer.
  std::optional<ErrorCode> Add(const Operation& operation, bool done) {
    return Add(operation, done, SecondsAt(size() + 1));
  }
  // Likewise, of one that ran at `seconds` by the clock. `synced` is false when it did all but make
  // durable what it did.
  std::optional<ErrorCode> Add(const Operation& operation, bool done, int64_t seconds,
                               bool synced = true);

  // Whether a sync has failed by the time operation `index` has returned. It may have made a part
  // of what it covers durable: whole blocks, and a size between the old one and the new.
  bool SyncFailed(uint32_t index) const noexcept {
    return failed_sync_ != 0 && failed_sync_ <= index;
  }

  uint32_t size() const noexcept { return static_cast<uint32_t>(operations_.size()); }
  // 1, 2, 3...
  const Operation& At(uint32_t index) const { return operations_[index - 1]; }
  int64_t SecondsOf(uint32_t index) const { return seconds_[index - 1]; }
  // After operation `index`; 0: before the first.
  const State& After(uint32_t index) const { return states_[index]; }

  // The last sync point that had returned: what was named before it is durable. 0: the start.
  uint32_t NamesDurable(Moment moment) const;
  // The last one that covers the bytes of `node`; with `times`, one that covers its times too.
  uint32_t BytesDurable(NodeId node, Moment moment, bool times = false) const;

 private:
  Synced synced_by_mount_;
  uint32_t failed_sync_ = 0;  // the first one; 0: none
  std::vector<Operation> operations_;
  std::vector<int64_t> seconds_;   // by index - 1
  std::vector<SyncScope> scopes_;  // by index - 1
  std::vector<NodeId> synced_;     // by index - 1: the node of scope kFile
  std::vector<State> states_;
};

}  // namespace mirdax::crash
