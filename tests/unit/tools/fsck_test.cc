// SPDX-License-Identifier: BSD-2-Clause
#include "tools/fsck/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/pmem/private_store.h"
#include "tests/support/poison.h"
#include "tests/support/pool_image.h"
#include "tools/fsck/owners.h"
#include "tools/fsck/render.h"

namespace mirdax::fsck {
namespace {

using test::PoolImage;

std::string Explain(const FsckReport& report) { return RenderText(report, "pool", true); }

TEST(Fsck, AFreshPoolIsClean) {
  PoolImage image;
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->clean()) << Explain(*report);
  EXPECT_EQ(report->findings.warnings(), 0U) << Explain(*report);
  EXPECT_TRUE(report->contents_checked);
  EXPECT_EQ(report->inodes_in_use, 1U);
  EXPECT_EQ(report->directories, 1U);
  EXPECT_EQ(report->blocks_in_use, 0U);
}

TEST(Fsck, ABlankMirrorIsCleanAndItsContentsAreNotChecked) {
  FormatOptions options;
  options.mirror = true;
  const auto pool = test::MemoryPool::Create(kMinPoolSize, options);
  const auto report = CheckPool(pool->region());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->clean()) << Explain(*report);
  EXPECT_FALSE(report->contents_checked);
}

TEST(Fsck, AFilesystemWithABitOfEverythingIsClean) {
  PoolImage image;
  image.AddSample();
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->clean()) << Explain(*report);
  EXPECT_EQ(report->directories, 5U);
  EXPECT_EQ(report->orphans, 1U);
}

TEST(Fsck, CheckingACleanPoolChangesNoByteOfIt) {
  PoolImage image;
  image.AddSample();
  const auto memory = image.region().memory();
  const std::vector<std::byte> before(memory.begin(), memory.end());
  ASSERT_TRUE(CheckPool(image.region()));
  EXPECT_TRUE(std::equal(before.begin(), before.end(), memory.begin()));
}

TEST(Fsck, WhatTheMediumRefusesIsAFindingThatSaysWhere) {
  PoolImage image;
  image.AddSample();
  const test::Poison poison(image.region(), image.geometry().inode_bitmap.offset);
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->clean());
  ASSERT_EQ(report->findings.count(FindingCode::kMediumBad), 1U);
  EXPECT_THAT(Explain(*report), testing::HasSubstr(std::to_string(poison.offset())));
}

TEST(Fsck, ARefusedSuperblockIsAnErrorThatSaysWhere) {
  PoolImage image;
  const test::Poison first(image.region(), kSuperblockOffset);
  const test::Poison second(image.region(), kSuperblockOffset + kBlockSize);
  const auto report = CheckPool(image.region());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kIo);
}

TEST(Fsck, ACopyThatIsBeingFilledIsNotClean) {
  PoolImage image;
  auto& block = image.At<PrivateBlock>(kPrivateBlockOffset);
  block.state = CopyState::kFilling;
  block.role = Role::kMirror;
  image.SealPrivateBlocks();
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings.count(FindingCode::kCopyIncomplete), 1U) << Explain(*report);
  EXPECT_FALSE(report->contents_checked);
}

TEST(Fsck, AMirrorCutOffInItsFirstFillIsNoBlankMirror) {
  FormatOptions options;
  options.mirror = true;
  const auto pool = test::MemoryPool::Create(kMinPoolSize, options);
  const auto store = PrivateStore::Open(pool->region());
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.state = CopyState::kFilling; }));
  const auto report = CheckPool(pool->region());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings.count(FindingCode::kCopyIncomplete), 1U) << Explain(*report);
  EXPECT_FALSE(report->clean());
  EXPECT_FALSE(report->contents_checked);
}

TEST(Fsck, CommittedRecordsAreAppliedBeforeContentsAreJudged) {
  PoolImage image;
  const auto sample = image.AddSample();
  // Home has a wrong link count; the journal holds the right one.
  InodeDisk& inode = image.Inode(sample.file);
  const auto whole = std::as_bytes(std::span(&inode, 1));
  const std::vector<std::byte> good(whole.begin(), whole.end());
  inode.nlink = 7;
  image.SealInode(sample.file);
  ASSERT_FALSE(CheckPool(image.region())->clean());
  image.Append(std::array{PoolImage::Change{image.geometry().InodeOffset(sample.file), good}});
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->clean()) << Explain(*report);
  EXPECT_EQ(report->records_replayed, 1U);
}

TEST(Fsck, AnUpdateOfAPrivateBlockThatAPowerCutToreIsAWarning) {
  PoolImage image;
  auto& second = image.At<PrivateBlock>(kPrivateBlockOffset + kBlockSize);
  second = image.At<PrivateBlock>(kPrivateBlockOffset);
  second.sequence = 2;  // and the checksum is still the old one
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->clean()) << Explain(*report);
  EXPECT_EQ(report->findings.count(FindingCode::kPrivateCopyBad), 1U);
}

TEST(Fsck, WhatIsNoPoolIsRefusedNotJudged) {
  const auto region = test::MemoryPool::MakeRegion(kMinPoolSize);
  const auto report = CheckPool(*region);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(report.error().message, testing::HasSubstr("no superblock"));
  const auto tiny = test::MemoryPool::MakeRegion(kBlockSize);
  EXPECT_FALSE(CheckPool(*tiny));
}

TEST(Fsck, ANewerFormatIsRefusedNotJudged) {
  PoolImage image;
  for (uint64_t i = 0; i < 2; ++i) image.At<Superblock>(i * kBlockSize).version = 99;
  image.SealSuperblocks();
  const auto report = CheckPool(image.region());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kIncompatible);
  EXPECT_THAT(report.error().message, testing::HasSubstr("99"));
}

TEST(Fsck, AFindingNamesThePathOfItsInode) {
  PoolImage image;
  const auto sample = image.AddSample();
  image.Inode(sample.empty).size = kBlockSize;
  image.SealInode(sample.empty);
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report);
  ASSERT_EQ(report->findings.kept().size(), 1U) << Explain(*report);
  EXPECT_EQ(report->findings.kept().front().path, "/dir/inner/empty");
}

TEST(Fsck, AReportAsJsonHasCodeSeverityAndFix) {
  PoolImage image;
  const auto sample = image.AddSample();
  image.Inode(sample.fifo).nlink = 3;
  image.SealInode(sample.fifo);
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report);
  const std::string json = RenderJson(*report, "p\xff");
  EXPECT_THAT(json, testing::HasSubstr("\"code\": \"link-count-wrong\""));
  EXPECT_THAT(json, testing::HasSubstr("\"clean\": false"));
  EXPECT_THAT(json, testing::HasSubstr("\"path\": \"/dir/fifo\""));
}

TEST(Fsck, FindingsOfOneKindAreCountedButNotAllKept) {
  Findings findings;
  for (int i = 0; i < 1000; ++i) findings.Add(FindingCode::kBlockLeaked, "block");
  findings.Add(FindingCode::kXattrBad, "another kind");
  EXPECT_EQ(findings.kept().size(), Findings::kKeptPerCode + 1);
  EXPECT_EQ(findings.errors(), 1001U);
  EXPECT_EQ(findings.not_kept(), 1000 - Findings::kKeptPerCode);
}

TEST(BlockOwners, NamesTheFirstBlockThatHasAnOwner) {
  BlockOwners owners(1000, 500);
  EXPECT_FALSE(owners.Claim(1003, 130));
  EXPECT_FALSE(owners.Claim(1133, 1));
  EXPECT_EQ(owners.Claim(1000, 4), 1003U);
  EXPECT_EQ(owners.Claim(1100, 400), 1100U);
  EXPECT_EQ(owners.owned(), 500U);
}

}  // namespace
}  // namespace mirdax::fsck
