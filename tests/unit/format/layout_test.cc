// SPDX-License-Identifier: BSD-2-Clause
// Pins the bytes of the format: a change that fails here needs a new feature bit or version.
#include "fs/format/layout.h"

#include <gtest/gtest.h>

#include "fs/base/crc32c.h"
#include "fs/format/checksums.h"
#include "fs/format/geometry.h"
#include "fs/format/superblock.h"
#include "tests/unit/format/golden_superblock.h"

namespace mirdax {
namespace {

#define EXPECT_AT(type, field, offset) EXPECT_EQ(offsetof(type, field), size_t{offset})

TEST(Layout, FixedPlaces) {
  EXPECT_EQ(kSuperblockOffset, 0U);
  EXPECT_EQ(kPrivateBlockOffset, 8192U);
  EXPECT_EQ(kCommitLineOffset, 16384U);
  EXPECT_EQ(kDynamicAreaOffset, 65536U);
}

TEST(Layout, Superblock) {
  EXPECT_AT(Superblock, magic, 0);
  EXPECT_AT(Superblock, version, 8);
  EXPECT_AT(Superblock, crc, 12);
  EXPECT_AT(Superblock, sequence, 16);
  EXPECT_AT(Superblock, compat, 24);
  EXPECT_AT(Superblock, ro_compat, 32);
  EXPECT_AT(Superblock, incompat, 40);
  EXPECT_AT(Superblock, set_uuid, 48);
  EXPECT_AT(Superblock, label, 64);
  EXPECT_AT(Superblock, block_size, 128);
  EXPECT_AT(Superblock, pool_size, 136);
  EXPECT_AT(Superblock, out_of_sync_offset, 144);
  EXPECT_AT(Superblock, out_of_sync_size, 152);
  EXPECT_AT(Superblock, out_of_sync_chunk, 160);
  EXPECT_AT(Superblock, journal_offset, 168);
  EXPECT_AT(Superblock, journal_size, 176);
  EXPECT_AT(Superblock, block_bitmap_offset, 184);
  EXPECT_AT(Superblock, block_bitmap_size, 192);
  EXPECT_AT(Superblock, inode_bitmap_offset, 200);
  EXPECT_AT(Superblock, inode_bitmap_size, 208);
  EXPECT_AT(Superblock, orphan_bitmap_offset, 216);
  EXPECT_AT(Superblock, inode_table_offset, 224);
  EXPECT_AT(Superblock, inode_count, 232);
  EXPECT_AT(Superblock, data_offset, 240);
  EXPECT_AT(Superblock, data_blocks, 248);
  EXPECT_AT(Superblock, blocks_per_group, 256);
  EXPECT_AT(Superblock, hash_seed, 264);
  EXPECT_AT(Superblock, created_seconds, 280);
  EXPECT_AT(Superblock, zero, 288);
}

TEST(Layout, PrivateBlockAndCommitLine) {
  EXPECT_AT(PrivateBlock, magic, 0);
  EXPECT_AT(PrivateBlock, crc, 4);
  EXPECT_AT(PrivateBlock, sequence, 8);
  EXPECT_AT(PrivateBlock, copy_uuid, 16);
  EXPECT_AT(PrivateBlock, set_uuid, 32);
  EXPECT_AT(PrivateBlock, role, 48);
  EXPECT_AT(PrivateBlock, state, 52);
  EXPECT_AT(PrivateBlock, clean, 56);
  EXPECT_AT(PrivateBlock, history_count, 60);
  EXPECT_AT(PrivateBlock, tail, 64);
  EXPECT_AT(PrivateBlock, mount_count, 72);
  EXPECT_AT(PrivateBlock, history, 80);
  EXPECT_AT(PrivateBlock, members, 1104);
  EXPECT_AT(PrivateBlock, zero, 2128);
  EXPECT_AT(Member, state, 16);
  EXPECT_AT(Member, since_epoch, 24);
  EXPECT_AT(Member, address, 32);
  EXPECT_EQ(sizeof(Member), 128U);
  EXPECT_EQ(sizeof(EpochEntry), 32U);
  EXPECT_AT(CommitLine, commit, 0);
}

TEST(Layout, Journal) {
  EXPECT_AT(RecordHeader, magic, 0);
  EXPECT_AT(RecordHeader, crc, 4);
  EXPECT_AT(RecordHeader, lsn, 8);
  EXPECT_AT(RecordHeader, length, 16);
  EXPECT_AT(RecordHeader, patch_count, 24);
  EXPECT_AT(RecordHeader, transaction, 32);
  EXPECT_AT(RecordHeader, epoch, 40);
  EXPECT_AT(Patch, offset, 0);
  EXPECT_AT(Patch, length, 8);
}

TEST(Layout, Inode) {
  EXPECT_AT(InodeDisk, magic, 0);
  EXPECT_AT(InodeDisk, crc, 4);
  EXPECT_AT(InodeDisk, ino, 8);
  EXPECT_AT(InodeDisk, generation, 16);
  EXPECT_AT(InodeDisk, mode, 20);
  EXPECT_AT(InodeDisk, uid, 24);
  EXPECT_AT(InodeDisk, gid, 28);
  EXPECT_AT(InodeDisk, nlink, 32);
  EXPECT_AT(InodeDisk, flags, 36);
  EXPECT_AT(InodeDisk, size, 40);
  EXPECT_AT(InodeDisk, blocks, 48);
  EXPECT_AT(InodeDisk, xattr_block, 56);
  EXPECT_AT(InodeDisk, seconds, 64);
  EXPECT_AT(InodeDisk, nanoseconds, 96);
  EXPECT_AT(InodeDisk, parent, 112);
  EXPECT_AT(InodeDisk, zero, 120);
  EXPECT_AT(InodeDisk, payload, 128);
}

TEST(Layout, Trees) {
  EXPECT_AT(BlockHeader, crc, 4);
  EXPECT_AT(BlockHeader, owner, 8);
  EXPECT_AT(BlockHeader, self, 16);
  EXPECT_AT(BlockHeader, type, 24);
  EXPECT_AT(BlockHeader, level, 26);
  EXPECT_AT(BlockHeader, count, 28);
  EXPECT_AT(BlockHeader, heap_start, 30);
  EXPECT_AT(ExtentNode, entries, 32);
  EXPECT_EQ(kExtentsPerNode, 169U);
  EXPECT_EQ(kDirIndexEntries, 254U);
  EXPECT_AT(DirEntryHeader, ino, 8);
  EXPECT_AT(DirEntryHeader, type, 16);
  EXPECT_AT(DirEntryHeader, name_length, 17);
  EXPECT_AT(XattrEntry, space, 2);
}

TEST(Layout, EnumsKeepTheirNumbers) {
  EXPECT_EQ(static_cast<uint32_t>(Role::kPrimary), 1U);
  EXPECT_EQ(static_cast<uint32_t>(Role::kMirror), 2U);
  EXPECT_EQ(static_cast<uint32_t>(Role::kWitness), 3U);
  EXPECT_EQ(static_cast<uint32_t>(CopyState::kBlank), 1U);
  EXPECT_EQ(static_cast<uint32_t>(CopyState::kFilling), 2U);
  EXPECT_EQ(static_cast<uint32_t>(CopyState::kConsistent), 3U);
  EXPECT_EQ(static_cast<uint32_t>(MemberState::kInSync), 1U);
  EXPECT_EQ(static_cast<uint32_t>(MemberState::kOutOfSync), 2U);
  EXPECT_EQ(static_cast<uint16_t>(BlockType::kExtentNode), 1U);
  EXPECT_EQ(static_cast<uint16_t>(BlockType::kDirIndex), 2U);
  EXPECT_EQ(static_cast<uint16_t>(BlockType::kDirLeaf), 3U);
  EXPECT_EQ(static_cast<uint16_t>(BlockType::kXattr), 4U);
  EXPECT_EQ(static_cast<uint8_t>(XattrNamespace::kAclDefault), 5U);
}

TEST(Layout, AChecksumTakesItsOwnFieldAsZero) {
  std::array<std::byte, 64> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  auto zeroed = bytes;
  for (size_t i = 12; i < 16; ++i) zeroed[i] = std::byte{0};
  EXPECT_EQ(ChecksumOf(bytes, 12), Crc32c(zeroed));
  EXPECT_EQ(ChecksumOf(bytes, 12), ChecksumOf(zeroed, 12));

  std::array<std::byte, kBlockSize> block{};
  block[100] = std::byte{1};
  EXPECT_FALSE(IsSealedBlock(block));
  SealBlock(block);
  EXPECT_TRUE(IsSealedBlock(block));
  block[4000] = std::byte{1};
  EXPECT_FALSE(IsSealedBlock(block));
}

// The whole encoding of one superblock, geometry of a 64 MiB pool included, in one number.
TEST(Layout, AGoldenSuperblockKeepsItsChecksum) {
  EXPECT_EQ(test::GoldenSuperblock().crc, 0x90da5b60U);
}

}  // namespace
}  // namespace mirdax
