// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/range_set.h"

#include <algorithm>
#include <iterator>

namespace mirdax {

void RangeSet::Add(uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  auto it = ranges_.lower_bound(begin);
  if (it != ranges_.begin() && std::prev(it)->second >= begin) --it;
  while (it != ranges_.end() && it->first <= end) {  // swallow what touches
    begin = std::min(begin, it->first);
    end = std::max(end, it->second);
    bytes_ -= it->second - it->first;
    it = ranges_.erase(it);
  }
  ranges_.emplace_hint(it, begin, end);
  bytes_ += end - begin;
}

void RangeSet::Remove(uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  auto it = ranges_.lower_bound(begin);
  if (it != ranges_.begin() && std::prev(it)->second > begin) --it;
  while (it != ranges_.end() && it->first < end) {
    const ByteRange old{it->first, it->second};
    bytes_ -= old.end - old.begin;
    it = ranges_.erase(it);
    if (old.begin < begin) {
      ranges_.emplace(old.begin, begin);
      bytes_ += begin - old.begin;
    }
    if (old.end > end) {
      it = ranges_.emplace(end, old.end).first;
      bytes_ += old.end - end;
      break;
    }
  }
}

std::vector<ByteRange> RangeSet::ranges() const {
  std::vector<ByteRange> result;
  result.reserve(ranges_.size());
  for (const auto& [begin, end] : ranges_) result.push_back({begin, end});
  return result;
}

void RangeSet::Clear() {
  ranges_.clear();
  bytes_ = 0;
}

}  // namespace mirdax
