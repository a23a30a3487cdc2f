// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/pending_map.h"

#include <algorithm>
#include <iterator>

#include "fs/base/check.h"

namespace mirdax {
namespace {

bool Continues(const PendingExtent& left, const PendingExtent& right) {
  return left.kind == right.kind && left.end() == right.file_block &&
         left.pool_block + left.length == right.pool_block;
}

PendingExtent Cut(const PendingExtent& extent, uint64_t begin, uint64_t end) {
  PendingExtent part = extent;
  part.file_block = std::max(extent.file_block, begin);
  part.length = std::min(extent.end(), end) - part.file_block;
  part.pool_block += part.file_block - extent.file_block;
  return part;
}

}  // namespace

void PendingMap::Count(const PendingExtent& extent) noexcept {
  blocks_ += extent.length;
  if (extent.kind == PendingKind::kReserved) reserved_blocks_ += extent.length;
}

void PendingMap::Uncount(const PendingExtent& extent) noexcept {
  blocks_ -= extent.length;
  if (extent.kind == PendingKind::kReserved) reserved_blocks_ -= extent.length;
}

void PendingMap::Add(PendingExtent extent) {
  Count(extent);
  auto next = extents_.lower_bound(extent.file_block);
  MIRDAX_CHECK(next == extents_.end() || extent.end() <= next->first);
  if (next != extents_.end() && Continues(extent, next->second)) {
    extent.length += next->second.length;
    next = extents_.erase(next);
  }
  if (next != extents_.begin()) {
    PendingExtent& previous = std::prev(next)->second;
    MIRDAX_CHECK(previous.end() <= extent.file_block);
    if (Continues(previous, extent)) {
      previous.length += extent.length;
      return;
    }
  }
  extents_.emplace_hint(next, extent.file_block, extent);
}

std::optional<PendingExtent> PendingMap::Find(uint64_t file_block) const {
  std::optional<PendingExtent> found = FindAtOrAfter(file_block);
  if (found && found->file_block != file_block) found.reset();
  return found;
}

std::optional<PendingExtent> PendingMap::FindAtOrAfter(uint64_t file_block) const {
  auto it = extents_.upper_bound(file_block);
  if (it != extents_.begin() && std::prev(it)->second.end() > file_block) {
    const PendingExtent& holder = std::prev(it)->second;
    return Cut(holder, file_block, holder.end());
  }
  if (it == extents_.end()) return std::nullopt;
  return it->second;
}

std::vector<PendingExtent> PendingMap::Take(uint64_t begin, uint64_t end) {
  std::vector<PendingExtent> taken;
  auto it = extents_.lower_bound(begin);
  if (it != extents_.begin() && std::prev(it)->second.end() > begin) --it;
  while (it != extents_.end() && it->first < end) {
    const PendingExtent whole = it->second;
    it = extents_.erase(it);
    taken.push_back(Cut(whole, begin, end));
    Uncount(taken.back());
    if (whole.file_block < begin) {
      extents_.emplace(whole.file_block, Cut(whole, whole.file_block, begin));
    }
    if (whole.end() > end) it = extents_.emplace(end, Cut(whole, end, whole.end())).first;
  }
  return taken;
}

std::vector<PendingExtent> PendingMap::All() const {
  std::vector<PendingExtent> all;
  all.reserve(extents_.size());
  for (const auto& [block, extent] : extents_) all.push_back(extent);
  return all;
}

}  // namespace mirdax
