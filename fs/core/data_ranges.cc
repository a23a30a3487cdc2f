// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/data_ranges.h"

#include <algorithm>

#include "fs/format/layout.h"

namespace mirdax {

std::vector<PoolRange> MergedLines(std::vector<PoolRange> ranges) {
  std::ranges::sort(ranges, {}, &PoolRange::offset);
  std::vector<PoolRange> merged;
  for (const PoolRange& range : ranges) {
    if (range.length == 0) continue;
    const uint64_t begin = range.offset / kLineSize * kLineSize;
    const uint64_t end = (range.end() + kLineSize - 1) / kLineSize * kLineSize;
    if (!merged.empty() && begin <= merged.back().end()) {
      merged.back().length = std::max(merged.back().end(), end) - merged.back().offset;
    } else {
      merged.push_back({.offset = begin, .length = end - begin});
    }
  }
  return merged;
}

void DataRanges::Add(PoolRange range) {
  if (range.length == 0) return;
  MutexLock lock(mutex_);
  // Appends come one after another: keep them one range.
  if (!ranges_.empty() && ranges_.back().end() == range.offset) {
    ranges_.back().length += range.length;
  } else {
    ranges_.push_back(range);
  }
}

std::vector<PoolRange> DataRanges::Take() {
  MutexLock lock(mutex_);
  std::vector<PoolRange> taken = MergedLines(ranges_);  // before anything is given up
  ranges_.clear();
  return taken;
}

}  // namespace mirdax
