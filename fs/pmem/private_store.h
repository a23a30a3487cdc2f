// SPDX-License-Identifier: BSD-2-Clause
// The private block of one copy: who it is, its epoch and history, its members, its tail.
#pragma once

#include <functional>
#include <memory>

#include "fs/base/mutex.h"
#include "fs/base/result.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

// Invariant: what Get() returns is durable. Every change is one A/B step: written to the older of
// the two blocks with sequence + 1 and a checksum, persisted, and only then visible.
//
// Errors:  kCorrupt (neither block is valid), kInvalid (the change makes no valid block), kIo (the
//          change is not durable and not visible; or one of the blocks cannot be read).
// Threads: every method by any. Locks: takes its own, a leaf: may be called with any lock held.
class PrivateStore {
 public:
  static Result<std::unique_ptr<PrivateStore>> Open(Region& region);
  // Writes the first block of a new copy (mkfs).
  static Status Format(Region& region, const PrivateBlock& first);

  PrivateBlock Get() const MIRDAX_EXCLUDES(mutex_);
  // Applies `change` to a copy of the block and makes the result durable.
  Status Update(const std::function<void(PrivateBlock&)>& change) MIRDAX_EXCLUDES(mutex_);

 private:
  PrivateStore(Region& region, const PrivateBlock& current, size_t slot)
      : region_(region), current_(current), slot_(slot) {}

  Region& region_;
  mutable Mutex mutex_;
  PrivateBlock current_ MIRDAX_GUARDED_BY(mutex_);
  size_t slot_ MIRDAX_GUARDED_BY(mutex_);  // where current_ lies: 0 = A, 1 = B
};

// The current epoch: the last entry of the history. {0, 0} when there is none.
EpochId CurrentEpoch(const PrivateBlock& block) noexcept;
// Appends an epoch with a higher number and a new random id. When the history is full, the oldest
// entry goes that no member out of sync was last in: else that copy would be taken for a fork.
void BeginEpoch(PrivateBlock& block, uint64_t random_id, Lsn start, int64_t now_seconds) noexcept;

}  // namespace mirdax
