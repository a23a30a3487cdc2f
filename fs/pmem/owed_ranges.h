// SPDX-License-Identifier: BSD-2-Clause
// What has been flushed and not yet made durable, for regions that have to do the work at Drain()
// (msync of pages, copies of lines).
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "fs/base/mutex.h"
#include "fs/base/ranges.h"
#include "fs/base/result.h"

namespace mirdax {

// Invariants:
// O1  A range leaves the set only when `make_durable` has succeeded for it. When it fails, the
//     range goes back: it is still owed, and a later Drain() tries it again.
// O2  Drain() returns success only if everything added before it began is durable, including what
//     another thread's Drain() took and was still working on.
//
// Units:   bytes; ranges are widened to `granule` (a power of two).
// Threads: every method by any. `make_durable` runs without the lock, by several threads at once
//          on disjoint sets.
// Locks:   takes its own, a leaf.
class OwedRanges {
 public:
  // `first_try` is false when an earlier attempt on a range of `ranges` has failed. The ranges are
  // sorted, and at least `merge_gap` bytes lie between two of them.
  using MakeDurable = std::function<Status(std::span<const PoolRange> ranges, bool first_try)>;

  explicit OwedRanges(uint64_t granule, uint64_t merge_gap)
      : granule_(granule), merge_gap_(merge_gap) {}

  void Add(uint64_t offset, uint64_t length) MIRDAX_EXCLUDES(mutex_);
  Status Drain(const MakeDurable& make_durable) MIRDAX_EXCLUDES(mutex_);

 private:
  void Merge(std::vector<PoolRange>& ranges) const;

  const uint64_t granule_;
  const uint64_t merge_gap_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<PoolRange> owed_ MIRDAX_GUARDED_BY(mutex_);  // in order of arrival
  bool retry_ MIRDAX_GUARDED_BY(mutex_) = false;           // a range of owed_ has failed before
  size_t merge_at_ MIRDAX_GUARDED_BY(mutex_) = 1024;       // size of owed_ that makes Add() merge
  uint64_t next_ticket_ MIRDAX_GUARDED_BY(mutex_) = 0;
  std::vector<uint64_t> running_ MIRDAX_GUARDED_BY(mutex_);  // tickets of drains at work, ascending
  uint64_t failures_ MIRDAX_GUARDED_BY(mutex_) = 0;
};

}  // namespace mirdax
