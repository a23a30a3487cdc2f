// SPDX-License-Identifier: BSD-2-Clause
// Where everything lies in a pool: pure functions of the pool's size and of what mkfs was told.
#pragma once

#include <cstdint>
#include <optional>

#include "fs/base/ranges.h"
#include "fs/base/result.h"
#include "fs/format/layout.h"

namespace mirdax {

inline constexpr uint64_t kMinPoolSize = uint64_t{8} << 20;
inline constexpr uint64_t kMinJournalSize = uint64_t{1} << 20;
inline constexpr uint64_t kMaxJournalSize = uint64_t{1} << 30;

struct GeometryOptions {
  std::optional<uint64_t> journal_size;  // bytes
  std::optional<uint64_t> inode_count;
  std::optional<uint64_t> bytes_per_inode;  // one inode for this many bytes of pool
};

// Byte offsets and sizes, all multiples of kBlockSize. See layout.h, struct Superblock.
struct Geometry {
  uint64_t pool_size = 0;
  PoolRange out_of_sync;  // all maps
  uint64_t out_of_sync_map_size = 0;
  uint64_t out_of_sync_chunk = 0;
  PoolRange journal;
  PoolRange block_bitmap;
  PoolRange inode_bitmap;
  PoolRange orphan_bitmap;  // as long as inode_bitmap
  PoolRange inode_table;
  PoolRange data;
  uint64_t inode_count = 0;
  uint64_t data_blocks = 0;

  uint64_t group_count() const noexcept {
    return (data_blocks + kBlocksPerGroup - 1) / kBlocksPerGroup;
  }
  uint64_t InodeOffset(Ino ino) const noexcept { return inode_table.offset + ino * kInodeSize; }
  BlockNo first_data_block() const noexcept { return data.offset / kBlockSize; }
  // True when [block, block + count) lies in the data area.
  bool IsDataRange(BlockNo block, uint64_t count) const noexcept;
  // True when [offset, offset + length) lies where a journal record may store: the bitmaps, the
  // inode table, the data area (R4, R9).
  bool IsHomeRange(uint64_t offset, uint64_t length) const noexcept;
};

// The geometry mkfs gives a pool of `pool_size` bytes. kInvalid with the reason and the remedy.
Result<Geometry> ComputeGeometry(uint64_t pool_size, const GeometryOptions& options);

// The geometry a superblock states, once every field has been checked against every other (R9):
// ordered, aligned, no overlap, inside pool_size. kCorrupt names the field.
Result<Geometry> GeometryOf(const Superblock& superblock);

void StoreGeometry(const Geometry& geometry, Superblock& superblock);

}  // namespace mirdax
