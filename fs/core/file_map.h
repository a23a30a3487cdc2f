// SPDX-License-Identifier: BSD-2-Clause
// What each block of a file is right now: the extent tree with the pending extents laid over it.
#pragma once

#include <functional>
#include <vector>

#include "fs/core/extent_tree.h"
#include "fs/core/inode.h"

namespace mirdax {

enum class SegmentState : uint8_t {
  kHole,
  kUnwritten,  // allocated, reads as zeros
  kWritten,    // mapped: stores go in place
  kPending,    // stored, not in the tree yet (or still unwritten there)
};

struct Segment {
  uint64_t file_block = 0;
  uint64_t length = 0;     // blocks
  BlockNo pool_block = 0;  // 0 for a hole
  SegmentState state = SegmentState::kHole;

  uint64_t end() const noexcept { return file_block + length; }
  bool has_data() const noexcept {
    return state == SegmentState::kWritten || state == SegmentState::kPending;
  }
};

// Visits blocks [first, end) in order, without gaps, until `visit` returns false.
Status WalkFile(MetaReader& reader, const Inode& inode, uint64_t first, uint64_t end,
                const std::function<bool(const Segment&)>& visit)
    MIRDAX_REQUIRES_SHARED(inode.mutex);

Result<std::vector<Segment>> MapFile(MetaReader& reader, const Inode& inode, uint64_t first,
                                     uint64_t end) MIRDAX_REQUIRES_SHARED(inode.mutex);

}  // namespace mirdax
