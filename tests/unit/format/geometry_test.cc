// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/geometry.h"

#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <random>
#include <vector>

namespace mirdax {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kTiB = uint64_t{1} << 40;

// 8 MiB to 64 TiB: the powers of two, their neighbours, and a seeded sample.
std::vector<uint64_t> Sizes() {
  std::vector<uint64_t> sizes;
  for (uint64_t size = kMinPoolSize; size <= 64 * kTiB; size *= 2)
    for (const uint64_t near :
         {size - 4096, size - 1, size, size + 1, size + 4096, size + size / 2})
      if (near >= kMinPoolSize) sizes.push_back(near);
  std::mt19937_64 random(42);
  for (int i = 0; i < 5000; ++i) {
    const uint64_t magnitude = kMinPoolSize << random() % 23;
    sizes.push_back(magnitude + random() % magnitude);
  }
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

Superblock SuperblockOf(const Geometry& geometry) {
  Superblock sb{};
  StoreGeometry(geometry, sb);
  return sb;
}

TEST(Geometry, AreasAreOrderedAlignedDisjointAndInsideThePool) {
  for (const uint64_t size : Sizes()) {
    const auto g = ComputeGeometry(size, {});
    ASSERT_TRUE(g) << size << ": " << g.error().message;
    ASSERT_LE(g->pool_size, size);
    ASSERT_GT(g->pool_size + kBlockSize, size);
    uint64_t end = kDynamicAreaOffset;
    for (const PoolRange area : {g->out_of_sync, g->journal, g->block_bitmap, g->inode_bitmap,
                                 g->orphan_bitmap, g->inode_table, g->data}) {
      ASSERT_EQ(area.offset % kBlockSize, 0U) << size;
      ASSERT_EQ(area.length % kBlockSize, 0U) << size;
      ASSERT_GT(area.length, 0U) << size;
      ASSERT_GE(area.offset, end) << size;
      end = area.end();
    }
    ASSERT_EQ(end, g->pool_size) << size;
  }
}

TEST(Geometry, EveryPartIsLargeEnoughForWhatItDescribes) {
  for (const uint64_t size : Sizes()) {
    const auto g = ComputeGeometry(size, {});
    ASSERT_TRUE(g);
    ASSERT_EQ(g->data_blocks * kBlockSize, g->data.length);
    ASSERT_GE(g->block_bitmap.length * 8, g->data_blocks);
    ASSERT_EQ(g->block_bitmap.length, g->group_count() * kBlockSize);
    ASSERT_GE(g->inode_bitmap.length * 8, g->inode_count);
    ASSERT_EQ(g->orphan_bitmap.length, g->inode_bitmap.length);
    ASSERT_EQ(g->inode_table.length, g->inode_count * kInodeSize);
    ASSERT_EQ(g->out_of_sync.length, kMaxMirrors * g->out_of_sync_map_size);
    ASSERT_TRUE(std::has_single_bit(g->out_of_sync_chunk));
    ASSERT_GE(g->out_of_sync_map_size * 8 * g->out_of_sync_chunk, g->pool_size);
    ASSERT_LE(g->out_of_sync_map_size, 2 * kMiB);
    // At least four fifths of a pool is data, three quarters of the smallest ones.
    ASSERT_GE(g->data.length,
              g->pool_size / (size < 64 * kMiB ? 4 : 5) * (size < 64 * kMiB ? 3 : 4))
        << size;
  }
}

TEST(Geometry, ALargerPoolNeverHoldsLess) {
  Geometry last;
  for (const uint64_t size : Sizes()) {
    const auto g = ComputeGeometry(size, {});
    ASSERT_TRUE(g);
    // Beginning the data on a huge page costs up to 2 MiB, once.
    ASSERT_GE(g->data_blocks + 512, last.data_blocks) << size;
    ASSERT_GE(g->journal.length, last.journal.length) << size;
    ASSERT_GE(g->inode_count, last.inode_count) << size;
    last = *g;
  }
}

TEST(Geometry, DefaultsFollowThePoolsSize) {
  EXPECT_EQ(ComputeGeometry(8 * kMiB, {})->journal.length, kMiB);
  EXPECT_EQ(ComputeGeometry(64 * kMiB, {})->journal.length, kMiB);
  EXPECT_EQ(ComputeGeometry(kGiB, {})->journal.length, 16 * kMiB);
  EXPECT_EQ(ComputeGeometry(kTiB, {})->journal.length, 256 * kMiB);
  EXPECT_EQ(ComputeGeometry(kGiB, {})->inode_count, kGiB / (16 * 1024));
  EXPECT_EQ(ComputeGeometry(kGiB, {})->data.offset % (2 * kMiB), 0U);
  EXPECT_EQ(ComputeGeometry(kGiB, {})->out_of_sync_chunk, 64 * 1024U);
  EXPECT_EQ(ComputeGeometry(4 * kTiB, {})->out_of_sync_chunk, 256 * 1024U);
}

TEST(Geometry, OptionsOverrideTheDefaults) {
  GeometryOptions options;
  options.journal_size = 4 * kMiB;
  options.inode_count = 100;
  const auto g = ComputeGeometry(64 * kMiB, options);
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->journal.length, 4 * kMiB);
  EXPECT_EQ(g->inode_count, 112U);  // whole blocks of inodes
  GeometryOptions ratio;
  ratio.bytes_per_inode = 4096;
  EXPECT_EQ(ComputeGeometry(64 * kMiB, ratio)->inode_count, 64 * kMiB / 4096);
}

TEST(Geometry, ImpossibleWishesAreRefusedWithTheReason) {
  const auto refused = [](uint64_t size, GeometryOptions options, std::string_view reason) {
    const auto g = ComputeGeometry(size, options);
    ASSERT_FALSE(g) << reason;
    EXPECT_EQ(g.error().code, ErrorCode::kInvalid);
    EXPECT_NE(g.error().message.find(reason), std::string::npos) << g.error().message;
  };
  refused(0, {}, "minimum is 8388608");
  refused(8 * kMiB - 1, {}, "minimum is 8388608");
  refused(UINT64_MAX, {}, "too large");
  refused(64 * kMiB, {.journal_size = kMiB - 4096, .inode_count = {}, .bytes_per_inode = {}},
          "journal");
  refused(64 * kMiB, {.journal_size = kMiB + 1, .inode_count = {}, .bytes_per_inode = {}},
          "multiple of 4096");
  refused(8 * kMiB, {.journal_size = 64 * kMiB, .inode_count = {}, .bytes_per_inode = {}},
          "no room for data");
  refused(8 * kMiB, {.journal_size = {}, .inode_count = 0, .bytes_per_inode = {}}, "0 inodes");
  refused(8 * kMiB, {.journal_size = {}, .inode_count = UINT64_MAX, .bytes_per_inode = {}},
          "inodes are not possible");
  refused(8 * kMiB, {.journal_size = {}, .inode_count = 1U << 20, .bytes_per_inode = {}},
          "no room for data");
  refused(8 * kMiB, {.journal_size = {}, .inode_count = {}, .bytes_per_inode = 0}, "one inode for");
}

TEST(Geometry, ASuperblockStatesItWithoutLoss) {
  for (const uint64_t size : Sizes()) {
    const auto g = ComputeGeometry(size, {});
    ASSERT_TRUE(g);
    const Superblock sb = SuperblockOf(*g);
    const auto back = GeometryOf(sb);
    ASSERT_TRUE(back) << size << ": " << back.error().message;
    ASSERT_EQ(std::memcmp(&*back, &*g, sizeof(Geometry)), 0);
  }
}

// R9: whatever one field says, the areas stay inside the pool and apart.
TEST(Geometry, AHostileFieldIsRefusedOrHarmless) {
  const Superblock good = SuperblockOf(*ComputeGeometry(64 * kMiB, {}));
  const size_t first = offsetof(Superblock, block_size);
  const size_t last = offsetof(Superblock, hash_seed);
  std::mt19937_64 random(1);
  for (size_t at = first; at < last; at += 8) {
    for (int i = 0; i < 300; ++i) {
      Superblock bad = good;
      uint64_t value = 0;
      std::memcpy(&value, reinterpret_cast<std::byte*>(&bad) + at, 8);
      const uint64_t bit = uint64_t{1} << random() % 64;
      const std::array<uint64_t, 6> values = {
          value ^ bit, bit,           ~uint64_t{0} - static_cast<uint64_t>(i),
          random(),    value + 4096U, value - 4096U};
      value = values[random() % values.size()];
      std::memcpy(reinterpret_cast<std::byte*>(&bad) + at, &value, 8);
      const auto g = GeometryOf(bad);
      if (!g) {
        EXPECT_EQ(g.error().code, ErrorCode::kCorrupt);
        continue;
      }
      uint64_t end = kDynamicAreaOffset;
      for (const PoolRange area : {g->out_of_sync, g->journal, g->block_bitmap, g->inode_bitmap,
                                   g->orphan_bitmap, g->inode_table, g->data}) {
        ASSERT_GE(area.offset, end) << at << " " << value;
        ASSERT_GE(area.end(), area.offset);
        ASSERT_LE(area.end(), g->pool_size);
        end = area.end();
      }
    }
  }
}

TEST(Geometry, HomeIsBitmapsInodesAndDataAndNothingElse) {
  const Geometry g = *ComputeGeometry(64 * kMiB, {});
  for (const PoolRange area :
       {g.block_bitmap, g.inode_bitmap, g.orphan_bitmap, g.inode_table, g.data}) {
    EXPECT_TRUE(g.IsHomeRange(area.offset, area.length));
    EXPECT_TRUE(g.IsHomeRange(area.end() - 64, 64));
    EXPECT_FALSE(g.IsHomeRange(area.end() - 64, 128));
    EXPECT_FALSE(g.IsHomeRange(area.offset - 64, 128));
    EXPECT_FALSE(g.IsHomeRange(area.offset + 64, UINT64_MAX));
  }
  for (const uint64_t offset : {uint64_t{0}, kPrivateBlockOffset, kCommitLineOffset,
                                kDynamicAreaOffset, g.journal.offset, g.journal.end() - 64})
    EXPECT_FALSE(g.IsHomeRange(offset, 64)) << offset;
  EXPECT_FALSE(g.IsHomeRange(UINT64_MAX - 63, 64));
}

TEST(Geometry, DataRangesLieInTheDataArea) {
  const Geometry g = *ComputeGeometry(64 * kMiB, {});
  const BlockNo first = g.first_data_block();
  EXPECT_TRUE(g.IsDataRange(first, g.data_blocks));
  EXPECT_TRUE(g.IsDataRange(first + g.data_blocks - 1, 1));
  EXPECT_FALSE(g.IsDataRange(first - 1, 1));
  EXPECT_FALSE(g.IsDataRange(first + g.data_blocks, 1));
  EXPECT_FALSE(g.IsDataRange(first + 1, g.data_blocks));
  EXPECT_FALSE(g.IsDataRange(first, UINT64_MAX));
  EXPECT_FALSE(g.IsDataRange(0, 1));
  EXPECT_FALSE(g.IsDataRange(UINT64_MAX, 2));
}

}  // namespace
}  // namespace mirdax
