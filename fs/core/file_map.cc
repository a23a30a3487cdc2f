// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/file_map.h"

#include <algorithm>

namespace mirdax {
namespace {

// Cuts a hole or an unwritten mapping by the pending extents over it.
bool VisitAround(const PendingMap& pending, const Mapping& mapping,
                 const std::function<bool(const Segment&)>& visit) {
  const uint64_t end = mapping.file_block + mapping.length;
  uint64_t at = mapping.file_block;
  while (at < end) {
    const std::optional<PendingExtent> next = pending.FindAtOrAfter(at);
    const uint64_t gap_end = next ? std::min(end, next->file_block) : end;
    if (gap_end > at) {
      const Segment gap{at, gap_end - at,
                        mapping.hole() ? 0 : mapping.pool_block + (at - mapping.file_block),
                        mapping.hole() ? SegmentState::kHole : SegmentState::kUnwritten};
      if (!visit(gap)) return false;
      at = gap_end;
      continue;
    }
    const uint64_t pending_end = std::min(end, next->end());
    if (!visit(Segment{at, pending_end - at, next->pool_block, SegmentState::kPending})) {
      return false;
    }
    at = pending_end;
  }
  return true;
}

}  // namespace

Status WalkFile(MetaReader& reader, const Inode& inode, uint64_t first, uint64_t end,
                const std::function<bool(const Segment&)>& visit) {
  const PendingMap& pending = inode.pending;
  return ExtentTree::Walk(reader, inode.disk, first, end,
                          [&](const Mapping& mapping) MIRDAX_NO_THREAD_SAFETY_ANALYSIS {
                            if (!mapping.hole() && !mapping.unwritten) {
                              return visit(Segment{mapping.file_block, mapping.length,
                                                   mapping.pool_block, SegmentState::kWritten});
                            }
                            return VisitAround(pending, mapping, visit);
                          });
}

Result<std::vector<Segment>> MapFile(MetaReader& reader, const Inode& inode, uint64_t first,
                                     uint64_t end) {
  std::vector<Segment> segments;
  MIRDAX_TRY(WalkFile(reader, inode, first, end, [&segments](const Segment& segment) {
    segments.push_back(segment);
    return true;
  }));
  return segments;
}

}  // namespace mirdax
