// SPDX-License-Identifier: BSD-2-Clause
#include "mkfs/format_region.h"

#include <sys/stat.h>

#include <array>

#include "fs/format/checksums.h"
#include "fs/format/superblock.h"
#include "fs/pmem/private_store.h"

namespace mirdax {
namespace {

using Block = std::array<std::byte, kBlockSize>;

Status ZeroRange(Region& region, const FormatOptions& options, PoolRange range) {
  if (options.zero) return options.zero(range);
  region.StreamZeros(range.offset, range.length);
  return {};
}

void WriteDurably(Region& region, uint64_t offset, std::span<const std::byte> bytes) {
  region.Write(offset, bytes);
  region.Flush(offset, bytes.size());
}

void SetBits(Block& block, uint64_t first, uint64_t end) {
  for (uint64_t bit = first; bit < end; ++bit) block[bit / 8] |= std::byte{1} << (bit % 8);
}

// The blocks of a bitmap that are not all zero: the last one has the bits beyond `count` set (F3).
void WriteBitmap(Region& region, PoolRange bitmap, uint64_t count, uint64_t first_used) {
  constexpr uint64_t kBitsPerBlock = kBlockSize * 8;
  const uint64_t last = bitmap.length - kBlockSize;
  Block block{};
  if (last != 0) {
    SetBits(block, 0, first_used);
    WriteDurably(region, bitmap.offset, block);
    block = {};
  } else {
    SetBits(block, 0, first_used);
  }
  SetBits(block, count - last * 8, kBitsPerBlock);
  WriteDurably(region, bitmap.offset + last, block);
}

InodeDisk RootInode(Timestamp now) {
  InodeDisk root{};
  root.magic = kInodeMagic;
  root.ino = kRootIno;
  root.generation = 1;
  root.mode = S_IFDIR | 0755;
  root.nlink = 2;
  root.parent = kRootIno;
  root.seconds.fill(now.seconds);
  root.nanoseconds.fill(now.nanoseconds);
  Seal(root);
  return root;
}

PrivateBlock FirstPrivateBlock(const FormatReport& report, bool mirror, Random& random,
                               int64_t now) {
  PrivateBlock block{};
  block.copy_uuid = report.copy_uuid.bytes;
  block.set_uuid = report.set_uuid.bytes;
  block.clean = 1;
  if (mirror) {
    block.role = Role::kMirror;
    block.state = CopyState::kBlank;
  } else {
    block.role = Role::kPrimary;
    block.state = CopyState::kConsistent;
    BeginEpoch(block, random.Next64(), 0, now);
  }
  return block;
}

Superblock FirstSuperblock(const FormatReport& report, const FormatOptions& options, Random& random,
                           int64_t now) {
  Superblock sb{};
  sb.magic = kSuperblockMagic;
  sb.version = kFormatVersion;
  sb.set_uuid = report.set_uuid.bytes;
  SetLabel(sb, options.label);
  StoreGeometry(report.geometry, sb);
  if (options.mirror) sb.incompat = kIncompatBlank;
  random.Fill(std::as_writable_bytes(std::span(sb.hash_seed)));
  sb.created_seconds = now;
  return sb;
}

Status WriteSuperblock(Region& region, Superblock sb, size_t slot) {
  sb.sequence = slot + 1;
  Seal(sb);
  MIRDAX_TRY(DecodeSuperblock(BytesOf(sb)));
  WriteDurably(region, kSuperblockOffset + slot * kBlockSize, BytesOf(sb));
  return region.Drain();
}

}  // namespace

Result<Geometry> PlanFormat(uint64_t region_size, const FormatOptions& options) {
  MIRDAX_TRY(CheckLabel(options.label));
  if (options.mirror && options.set_uuid)
    return Fail(ErrorCode::kInvalid,
                "a blank mirror has no set UUID; it gets that of the primary that fills it");
  const uint64_t size = options.pool_size == 0 ? region_size : options.pool_size;
  if (size > region_size)
    return Fail(ErrorCode::kInvalid, "{} bytes are wanted, but there are only {}", size,
                region_size);
  MIRDAX_ASSIGN(const Geometry geometry, ComputeGeometry(size, options.geometry));
  if (!options.mirror) return geometry;
  Geometry blank;
  blank.pool_size = geometry.pool_size;
  return blank;
}

Result<FormatReport> FormatRegion(Region& region, const FormatOptions& options, Random& random,
                                  Clock& clock) {
  FormatReport report;
  MIRDAX_ASSIGN(report.geometry, PlanFormat(region.size(), options));
  report.copy_uuid = Uuid::Generate(random);
  if (!options.mirror) {
    report.set_uuid = options.set_uuid ? *options.set_uuid : Uuid::Generate(random);
    if (report.set_uuid.IsNil())
      return Fail(ErrorCode::kInvalid, "the nil UUID cannot name a set; choose another");
  }
  const Timestamp now = clock.Now();
  const Geometry& g = report.geometry;

  // F1: first the superblocks alone, then the rest of the fixed area, commit word included.
  region.StreamZeros(kSuperblockOffset, kPrivateBlockOffset);
  MIRDAX_TRY(region.Drain());
  region.StreamZeros(kPrivateBlockOffset, kDynamicAreaOffset - kPrivateBlockOffset);
  if (!options.mirror) {
    MIRDAX_TRY(ZeroRange(region, options, g.out_of_sync));
    const uint64_t bitmaps = g.block_bitmap.offset;  // and the inode table behind them
    MIRDAX_TRY(ZeroRange(region, options, {bitmaps, g.inode_table.end() - bitmaps}));
    WriteBitmap(region, g.block_bitmap, g.data_blocks, 0);
    WriteBitmap(region, g.inode_bitmap, g.inode_count, kRootIno + 1);
    WriteDurably(region, g.InodeOffset(kRootIno), BytesOf(RootInode(now)));
  }
  MIRDAX_TRY(
      PrivateStore::Format(region, FirstPrivateBlock(report, options.mirror, random, now.seconds)));
  const Superblock sb = FirstSuperblock(report, options, random, now.seconds);
  MIRDAX_TRY(WriteSuperblock(region, sb, 0));
  MIRDAX_TRY(WriteSuperblock(region, sb, 1));
  MIRDAX_TRY(region.CheckGood(0, region.size()));  // a pool is not begun on a bad medium
  return report;
}

}  // namespace mirdax
