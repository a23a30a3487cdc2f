// SPDX-License-Identifier: BSD-2-Clause
// The file data that a transaction needs durable (R1).
#pragma once

#include <vector>

#include "fs/base/mutex.h"
#include "fs/base/ranges.h"

namespace mirdax {

// `ranges`, rounded outwards to whole lines, sorted, overlapping and touching ones merged.
std::vector<PoolRange> MergedLines(std::vector<PoolRange> ranges);

// Threads: every method by any. Locks: its own, a leaf.
class DataRanges {
 public:
  void Add(PoolRange range) MIRDAX_EXCLUDES(mutex_);
  // Everything added since the last Take(), merged.
  std::vector<PoolRange> Take() MIRDAX_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::vector<PoolRange> ranges_ MIRDAX_GUARDED_BY(mutex_);
};

}  // namespace mirdax
