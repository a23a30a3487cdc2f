// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/owed_ranges.h"

#include <algorithm>

namespace mirdax {

void OwedRanges::Merge(std::vector<PoolRange>& ranges) const {
  std::sort(ranges.begin(), ranges.end(),
            [](const PoolRange& a, const PoolRange& b) { return a.offset < b.offset; });
  size_t kept = 0;
  for (size_t i = 1; i < ranges.size(); ++i) {
    PoolRange& last = ranges[kept];
    if (ranges[i].offset <= last.end() + merge_gap_)
      last.length = std::max(last.end(), ranges[i].end()) - last.offset;
    else
      ranges[++kept] = ranges[i];
  }
  if (!ranges.empty()) ranges.resize(kept + 1);
}

void OwedRanges::Add(uint64_t offset, uint64_t length) {
  if (length == 0) return;
  const uint64_t begin = offset & ~(granule_ - 1);
  const uint64_t end = (offset + length + granule_ - 1) & ~(granule_ - 1);
  const MutexLock lock(mutex_);
  if (!owed_.empty()) {
    PoolRange& last = owed_.back();
    if (begin >= last.offset && begin <= last.end()) {
      last.length = std::max(last.end(), end) - last.offset;
      return;
    }
  }
  owed_.push_back({begin, end - begin});
  if (owed_.size() < merge_at_) return;
  Merge(owed_);
  merge_at_ = std::max<size_t>(1024, 2 * owed_.size());
}

Status OwedRanges::Drain(const MakeDurable& make_durable) {
  std::vector<PoolRange> mine;
  bool first_try = true;
  uint64_t ticket = 0;
  uint64_t failures_before = 0;
  {
    const MutexLock lock(mutex_);
    mine.swap(owed_);
    first_try = !retry_;
    retry_ = false;
    ticket = next_ticket_++;
    failures_before = failures_;
    if (!mine.empty()) running_.push_back(ticket);
  }
  Status status;
  if (!mine.empty()) {
    Merge(mine);
    status = make_durable(mine, first_try);
  }
  const MutexLock lock(mutex_);
  if (!mine.empty()) {
    if (!status) {
      owed_.insert(owed_.end(), mine.begin(), mine.end());
      retry_ = true;
      ++failures_;
    }
    std::erase(running_, ticket);
    changed_.NotifyAll();
  }
  // O2: a drain that began earlier may have taken what this thread had flushed.
  while (!running_.empty() && running_.front() < ticket) changed_.Wait(mutex_);
  if (status && failures_ != failures_before)
    return Fail(ErrorCode::kIo, "a flush that covered this range failed");
  return status;
}

}  // namespace mirdax
