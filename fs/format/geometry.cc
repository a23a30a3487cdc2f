// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/geometry.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

namespace mirdax {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;
// Keeps every sum of two fields far from wrapping around.
constexpr uint64_t kMaxPoolSize = uint64_t{1} << 52;
constexpr uint64_t kMinDataBlocks = kMiB / kBlockSize;
constexpr uint64_t kMaxInodeCount = uint64_t{1} << 32;
constexpr uint64_t kMinBytesPerInode = 1024;
constexpr uint64_t kMinChunk = uint64_t{64} * 1024;
constexpr uint64_t kDefaultMaxJournalSize = 256 * kMiB;
constexpr uint64_t kDefaultBytesPerInode = uint64_t{16} * 1024;
constexpr uint64_t kMaxMapSize = 2 * kMiB;
// Data of a large pool begins on a huge page, so that it can be mapped with huge pages.
constexpr uint64_t kLargePool = kGiB;
constexpr uint64_t kHugePage = 2 * kMiB;

constexpr uint64_t CeilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }
constexpr uint64_t AlignUp(uint64_t a, uint64_t b) { return CeilDiv(a, b) * b; }

uint64_t MapSize(uint64_t pool_size, uint64_t chunk) {
  return AlignUp(CeilDiv(CeilDiv(pool_size, chunk), 8), kBlockSize);
}

Result<uint64_t> ChooseJournalSize(uint64_t pool_size, const GeometryOptions& options) {
  if (!options.journal_size)
    return AlignUp(std::clamp(pool_size / 64, kMinJournalSize, kDefaultMaxJournalSize), kBlockSize);
  const uint64_t size = *options.journal_size;
  if (size < kMinJournalSize || size > kMaxJournalSize || size % kBlockSize != 0)
    return Fail(ErrorCode::kInvalid,
                "a journal of {} bytes is not possible; choose a multiple of {} from {} to {}",
                size, kBlockSize, kMinJournalSize, kMaxJournalSize);
  return size;
}

Result<uint64_t> ChooseInodeCount(uint64_t pool_size, const GeometryOptions& options) {
  uint64_t count = 0;
  if (options.inode_count) {
    count = *options.inode_count;
    if (count < kInodesPerBlock || count > kMaxInodeCount)
      return Fail(ErrorCode::kInvalid, "{} inodes are not possible; choose {} to {}", count,
                  kInodesPerBlock, kMaxInodeCount);
  } else {
    const uint64_t ratio = options.bytes_per_inode.value_or(kDefaultBytesPerInode);
    if (ratio < kMinBytesPerInode || ratio > pool_size / kInodesPerBlock)
      return Fail(ErrorCode::kInvalid,
                  "one inode for {} bytes is not possible; choose {} to {} bytes", ratio,
                  kMinBytesPerInode, pool_size / kInodesPerBlock);
    count = std::min(pool_size / ratio, kMaxInodeCount);
  }
  return AlignUp(count, kInodesPerBlock);
}

struct Area {
  std::string_view name;
  PoolRange range;
};

std::array<Area, 7> AreasOf(const Geometry& geometry) {
  return {Area{"out_of_sync", geometry.out_of_sync},
          Area{"journal", geometry.journal},
          Area{"block_bitmap", geometry.block_bitmap},
          Area{"inode_bitmap", geometry.inode_bitmap},
          Area{"orphan_bitmap", geometry.orphan_bitmap},
          Area{"inode_table", geometry.inode_table},
          Area{"data", geometry.data}};
}

bool Contains(PoolRange outer, uint64_t offset, uint64_t length) noexcept {
  return offset >= outer.offset && offset <= outer.end() && length <= outer.end() - offset;
}

tl::unexpected<Error> BadField(std::string_view field, uint64_t value) {
  return Fail(ErrorCode::kCorrupt, "superblock field {} has the impossible value {}", field, value);
}

}  // namespace

bool Geometry::IsDataRange(BlockNo block, uint64_t count) const noexcept {
  const BlockNo first = first_data_block();
  return block >= first && block - first <= data_blocks && count <= data_blocks - (block - first);
}

bool Geometry::IsHomeRange(uint64_t offset, uint64_t length) const noexcept {
  return Contains(block_bitmap, offset, length) || Contains(inode_bitmap, offset, length) ||
         Contains(orphan_bitmap, offset, length) || Contains(inode_table, offset, length) ||
         Contains(data, offset, length);
}

Result<Geometry> ComputeGeometry(uint64_t pool_size, const GeometryOptions& options) {
  if (pool_size < kMinPoolSize)
    return Fail(ErrorCode::kInvalid, "{} bytes are too small for a pool; the minimum is {} (8 MiB)",
                pool_size, kMinPoolSize);
  if (pool_size > kMaxPoolSize)
    return Fail(ErrorCode::kInvalid, "{} bytes are too large for a pool; the maximum is {}",
                pool_size, kMaxPoolSize);
  Geometry g;
  g.pool_size = pool_size / kBlockSize * kBlockSize;
  MIRDAX_ASSIGN(const uint64_t journal_size, ChooseJournalSize(g.pool_size, options));
  MIRDAX_ASSIGN(g.inode_count, ChooseInodeCount(g.pool_size, options));

  g.out_of_sync_chunk = kMinChunk;
  while (MapSize(g.pool_size, g.out_of_sync_chunk) > kMaxMapSize) g.out_of_sync_chunk *= 2;
  g.out_of_sync_map_size = MapSize(g.pool_size, g.out_of_sync_chunk);
  g.out_of_sync = {kDynamicAreaOffset, g.out_of_sync_map_size * kMaxMirrors};
  g.journal = {g.out_of_sync.end(), journal_size};

  const uint64_t inode_bitmap_size = AlignUp(CeilDiv(g.inode_count, 8), kBlockSize);
  const uint64_t inode_table_size = g.inode_count * kInodeSize;
  const uint64_t fixed = g.journal.end() + 2 * inode_bitmap_size + inode_table_size;
  const uint64_t data_alignment = g.pool_size >= kLargePool ? kHugePage : kBlockSize;
  const auto too_little = [&] {
    return Fail(ErrorCode::kInvalid,
                "a journal of {} bytes and {} inodes leave no room for data in {} bytes; "
                "choose a smaller journal, fewer inodes or a larger pool",
                journal_size, g.inode_count, g.pool_size);
  };
  if (fixed + data_alignment >= g.pool_size) return too_little();

  // One bitmap block for every kBlocksPerGroup blocks of what is left, itself included.
  const uint64_t left_blocks = (g.pool_size - fixed) / kBlockSize;
  const uint64_t bitmap_blocks = CeilDiv(left_blocks, kBlocksPerGroup + 1);
  g.inode_bitmap = {g.journal.end() + bitmap_blocks * kBlockSize, inode_bitmap_size};
  g.orphan_bitmap = {g.inode_bitmap.end(), inode_bitmap_size};
  g.inode_table = {g.orphan_bitmap.end(), inode_table_size};
  const uint64_t data_offset = AlignUp(g.inode_table.end(), data_alignment);
  if (data_offset + kMinDataBlocks * kBlockSize > g.pool_size) return too_little();
  g.data = {data_offset, g.pool_size - data_offset};
  g.data_blocks = g.data.length / kBlockSize;
  // Aligning the data may have cost a group: then a block before the inode bitmap stays unused.
  g.block_bitmap = {g.journal.end(), g.group_count() * kBlockSize};
  return g;
}

Result<Geometry> GeometryOf(const Superblock& sb) {
  if (sb.block_size != kBlockSize) return BadField("block_size", sb.block_size);
  if (sb.blocks_per_group != kBlocksPerGroup)
    return BadField("blocks_per_group", sb.blocks_per_group);
  if (sb.pool_size < kMinPoolSize || sb.pool_size > kMaxPoolSize || sb.pool_size % kBlockSize != 0)
    return BadField("pool_size", sb.pool_size);
  // From here on every size is bounded by pool_size before it is multiplied or added.
  if (!std::has_single_bit(sb.out_of_sync_chunk) || sb.out_of_sync_chunk < kMinChunk ||
      sb.out_of_sync_chunk > kMaxPoolSize)
    return BadField("out_of_sync_chunk", sb.out_of_sync_chunk);
  if (sb.out_of_sync_size != MapSize(sb.pool_size, sb.out_of_sync_chunk))
    return BadField("out_of_sync_size", sb.out_of_sync_size);
  if (sb.journal_size < kMinJournalSize || sb.journal_size > kMaxJournalSize)
    return BadField("journal_size", sb.journal_size);
  if (sb.inode_count < kInodesPerBlock || sb.inode_count > kMaxInodeCount ||
      sb.inode_count % kInodesPerBlock != 0)
    return BadField("inode_count", sb.inode_count);
  if (sb.data_blocks < kMinDataBlocks || sb.data_blocks > sb.pool_size / kBlockSize)
    return BadField("data_blocks", sb.data_blocks);

  Geometry g;
  g.pool_size = sb.pool_size;
  g.out_of_sync = {sb.out_of_sync_offset, sb.out_of_sync_size * kMaxMirrors};
  g.out_of_sync_map_size = sb.out_of_sync_size;
  g.out_of_sync_chunk = sb.out_of_sync_chunk;
  g.journal = {sb.journal_offset, sb.journal_size};
  g.block_bitmap = {sb.block_bitmap_offset, sb.block_bitmap_size};
  g.inode_bitmap = {sb.inode_bitmap_offset, sb.inode_bitmap_size};
  g.orphan_bitmap = {sb.orphan_bitmap_offset, sb.inode_bitmap_size};
  g.inode_table = {sb.inode_table_offset, sb.inode_count * kInodeSize};
  g.data = {sb.data_offset, sb.data_blocks * kBlockSize};
  g.inode_count = sb.inode_count;
  g.data_blocks = sb.data_blocks;

  if (sb.block_bitmap_size != g.group_count() * kBlockSize)
    return BadField("block_bitmap_size", sb.block_bitmap_size);
  if (sb.inode_bitmap_size != AlignUp(CeilDiv(sb.inode_count, 8), kBlockSize))
    return BadField("inode_bitmap_size", sb.inode_bitmap_size);

  uint64_t end = kDynamicAreaOffset;
  for (const Area& area : AreasOf(g)) {
    if (area.range.offset % kBlockSize != 0 || area.range.length % kBlockSize != 0)
      return Fail(ErrorCode::kCorrupt, "superblock: area {} at {} of {} bytes is not aligned",
                  area.name, area.range.offset, area.range.length);
    if (area.range.offset < end ||
        !Contains({0, g.pool_size}, area.range.offset, area.range.length))
      return Fail(ErrorCode::kCorrupt,
                  "superblock: area {} at {} of {} bytes overlaps another or leaves the pool",
                  area.name, area.range.offset, area.range.length);
    end = area.range.end();
  }
  return g;
}

void StoreGeometry(const Geometry& g, Superblock& sb) {
  sb.block_size = kBlockSize;
  sb.blocks_per_group = kBlocksPerGroup;
  sb.pool_size = g.pool_size;
  sb.out_of_sync_offset = g.out_of_sync.offset;
  sb.out_of_sync_size = g.out_of_sync_map_size;
  sb.out_of_sync_chunk = g.out_of_sync_chunk;
  sb.journal_offset = g.journal.offset;
  sb.journal_size = g.journal.length;
  sb.block_bitmap_offset = g.block_bitmap.offset;
  sb.block_bitmap_size = g.block_bitmap.length;
  sb.inode_bitmap_offset = g.inode_bitmap.offset;
  sb.inode_bitmap_size = g.inode_bitmap.length;
  sb.orphan_bitmap_offset = g.orphan_bitmap.offset;
  sb.inode_table_offset = g.inode_table.offset;
  sb.inode_count = g.inode_count;
  sb.data_offset = g.data.offset;
  sb.data_blocks = g.data_blocks;
}

}  // namespace mirdax
