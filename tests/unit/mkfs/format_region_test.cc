// SPDX-License-Identifier: BSD-2-Clause
#include "mkfs/format_region.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fs/format/checksums.h"
#include "fs/format/superblock.h"
#include "fs/pmem/private_store.h"
#include "tests/support/memory_pool.h"

namespace mirdax {
namespace {

using test::MemoryPool;
constexpr uint64_t kMiB = uint64_t{1} << 20;

bool Bit(Region& region, PoolRange bitmap, uint64_t bit) {
  return (region.As<uint8_t>(bitmap.offset + bit / 8) >> (bit % 8) & 1) != 0;
}

TEST(FormatRegion, ANewPoolIsTheConsistentPrimaryOfANewSet) {
  FormatOptions options;
  options.label = "näme";
  const auto pool = MemoryPool::Create(64 * kMiB, options);
  EXPECT_EQ(LabelOf(pool->superblock()), "näme");
  EXPECT_FALSE(pool->blank());
  EXPECT_EQ(pool->superblock().sequence, 2U);  // both superblocks were written
  auto store = PrivateStore::Open(pool->region());
  ASSERT_TRUE(store) << store.error().message;
  const PrivateBlock block = (*store)->Get();
  EXPECT_EQ(block.role, Role::kPrimary);
  EXPECT_EQ(block.state, CopyState::kConsistent);
  EXPECT_EQ(block.clean, 1U);
  EXPECT_EQ(block.tail, 0U);
  EXPECT_EQ(CurrentEpoch(block).number, 1U);
  EXPECT_NE(CurrentEpoch(block).id, 0U);
  EXPECT_EQ(block.set_uuid, pool->superblock().set_uuid);
  EXPECT_EQ(pool->region().As<CommitLine>(kCommitLineOffset).commit, 0U);
}

TEST(FormatRegion, TheRootDirectoryIsEmptyAndOwnedByRoot) {
  const auto pool = MemoryPool::Create(8 * kMiB);
  const auto& root = pool->region().As<InodeDisk>(pool->geometry().InodeOffset(kRootIno));
  EXPECT_TRUE(IsSealed(root));
  EXPECT_EQ(root.magic, kInodeMagic);
  EXPECT_EQ(root.ino, kRootIno);
  EXPECT_EQ(root.parent, kRootIno);
  EXPECT_EQ(root.mode, uint32_t{S_IFDIR | 0755});
  EXPECT_EQ(root.nlink, 2U);
  EXPECT_EQ(root.uid, 0U);
  EXPECT_EQ(root.size, 0U);
  EXPECT_NE(root.seconds[kBtime], 0);
}

TEST(FormatRegion, BitsThatStandForNothingAreInUse) {
  for (const uint64_t size : {8 * kMiB, 9 * kMiB + 4096, 200 * kMiB, 2048 * kMiB}) {
    const auto pool = MemoryPool::Create(size);
    const Geometry& g = pool->geometry();
    Region& region = pool->region();
    EXPECT_FALSE(Bit(region, g.block_bitmap, 0));
    EXPECT_FALSE(Bit(region, g.block_bitmap, g.data_blocks - 1));
    for (uint64_t bit = g.data_blocks; bit < g.block_bitmap.length * 8; ++bit)
      ASSERT_TRUE(Bit(region, g.block_bitmap, bit)) << bit;
    EXPECT_TRUE(Bit(region, g.inode_bitmap, 0));
    EXPECT_TRUE(Bit(region, g.inode_bitmap, kRootIno));
    EXPECT_FALSE(Bit(region, g.inode_bitmap, kRootIno + 1));
    EXPECT_FALSE(Bit(region, g.inode_bitmap, g.inode_count - 1));
    for (uint64_t bit = g.inode_count; bit < g.inode_bitmap.length * 8; ++bit)
      ASSERT_TRUE(Bit(region, g.inode_bitmap, bit)) << bit;
    for (uint64_t bit = 0; bit < g.orphan_bitmap.length * 8; ++bit)
      ASSERT_FALSE(Bit(region, g.orphan_bitmap, bit)) << bit;
  }
}

TEST(FormatRegion, ABlankMirrorHasNoSetAndNoGeometry) {
  FormatOptions options;
  options.mirror = true;
  const auto pool = MemoryPool::Create(16 * kMiB, options);
  EXPECT_TRUE(pool->blank());
  EXPECT_EQ(pool->superblock().pool_size, 16 * kMiB);
  EXPECT_EQ(pool->geometry().journal.length, 0U);
  auto store = PrivateStore::Open(pool->region());
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->Get().role, Role::kMirror);
  EXPECT_EQ((*store)->Get().state, CopyState::kBlank);
  EXPECT_EQ((*store)->Get().history_count, 0U);
}

TEST(FormatRegion, OldContentsDoNotShowThrough) {
  auto region = MemoryPool::MakeRegion(32 * kMiB);
  for (auto& byte : region->memory()) byte = std::byte{0xa5};
  SeededRandom random(3);
  SystemClock clock;
  const auto report = FormatRegion(*region, {}, random, clock);
  ASSERT_TRUE(report) << report.error().message;
  const Geometry& g = report->geometry;
  const auto all_zero = [&](uint64_t offset, uint64_t end) {
    for (; offset < end; ++offset)
      if (region->memory()[offset] != std::byte{0}) return false;
    return true;
  };
  EXPECT_TRUE(all_zero(kCommitLineOffset, kDynamicAreaOffset));
  EXPECT_TRUE(all_zero(g.out_of_sync.offset, g.out_of_sync.end()));
  EXPECT_TRUE(all_zero(g.block_bitmap.offset, g.block_bitmap.offset + g.data_blocks / 8));
  EXPECT_TRUE(all_zero(g.orphan_bitmap.offset, g.InodeOffset(kRootIno)));
  EXPECT_TRUE(all_zero(g.InodeOffset(kRootIno + 1), g.inode_table.end()));
  EXPECT_TRUE(MemoryPool::Open(std::move(region)));
}

TEST(FormatRegion, RefusalsWriteNothing) {
  FormatOptions bad_label;
  bad_label.label = "a\nb";
  FormatOptions set_of_mirror;
  set_of_mirror.mirror = true;
  SeededRandom random(1);
  set_of_mirror.set_uuid = Uuid::Generate(random);
  FormatOptions too_large;
  too_large.pool_size = 64 * kMiB;
  FormatOptions nil_set;
  nil_set.set_uuid = Uuid{};
  FormatOptions too_small;
  too_small.pool_size = 4 * kMiB;
  for (const auto& options : {bad_label, set_of_mirror, too_large, nil_set, too_small}) {
    auto region = MemoryPool::MakeRegion(32 * kMiB);
    SystemClock clock;
    const auto report = FormatRegion(*region, options, random, clock);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::kInvalid);
    for (const std::byte byte : region->memory().first(kDynamicAreaOffset))
      ASSERT_EQ(byte, std::byte{0});
  }
}

}  // namespace
}  // namespace mirdax
