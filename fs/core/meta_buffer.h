// SPDX-License-Identifier: BSD-2-Clause
// One block of the overlay.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "fs/core/transaction.h"

namespace mirdax {

static_assert(kLinesPerBlock == 64);  // one bit a line in the masks below
inline constexpr uint64_t kAllLines = ~uint64_t{0};

// Mask of the lines that [offset, offset + length) touches.
// REQUIRES: offset + length <= kBlockSize.
constexpr uint64_t LineMask(uint64_t offset, uint64_t length) noexcept {
  if (length == 0) return 0;
  const uint64_t first = offset / kLineSize;
  const uint64_t last = (offset + length - 1) / kLineSize;
  return (kAllLines >> (63 - last)) & (kAllLines << first);
}

// Calls `visit(first, count)` for each run of set bits.
template <typename Visit>
void ForEachRun(uint64_t mask, const Visit& visit) {
  uint64_t first = 0;
  while (mask != 0) {
    const auto skip = static_cast<uint64_t>(std::countr_zero(mask));
    mask >>= skip;
    first += skip;
    const auto count = static_cast<uint64_t>(std::countr_one(mask));
    visit(first, count);
    if (count == kLinesPerBlock) return;
    mask >>= count;
    first += count;
  }
}

// The DRAM copy of a metadata block, from its first change until its last patch is home.
//
// Threads: `bytes` belong to whoever holds the lock that guards them (inode, group); owners of
//          different inodes share a block. The last group is guarded by the overlay shard's mutex.
class MetaBuffer {
 public:
  MetaBuffer(BlockNo number, BlockKind what) : block(number), kind(what) {}

  alignas(kLineSize) std::array<std::byte, kBlockSize> bytes;
  const BlockNo block;
  const BlockKind kind;

  uint64_t dirty = 0;      // lines that the running transaction will journal
  uint32_t in_flight = 0;  // closed transactions whose patches of this block are not home yet
  bool listed = false;     // is in its shard's list of dirty blocks
};

}  // namespace mirdax
