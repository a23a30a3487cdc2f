// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/file_data.h"

#include <gtest/gtest.h>

namespace mirdax::crash {
namespace {

TEST(FileData, AnOverwriteSharesTheStorageOfWhatWasThere) {
  FileData data;
  data.Write(0, std::string(100, 'a'), 1);
  data.Write(50, std::string(10, 'b'), 2);
  EXPECT_EQ(data.Birth(6), 1U);
  EXPECT_EQ(data.size(), 100U);
}

TEST(FileData, APunchedBlockHasNewStorageWhenItIsWrittenAgain) {
  FileData data;
  data.Write(0, std::string(12288, 'a'), 1);
  data.Punch(4000, 8192, 2);
  EXPECT_EQ(data.Birth(0), 1U);
  EXPECT_EQ(data.Birth(512), 2U);
  EXPECT_EQ(data.bytes()[3999], 'a');
  EXPECT_EQ(data.bytes()[4000], '\0');
  data.Write(5000, "x", 3);
  EXPECT_EQ(data.Birth(512), 3U);
  EXPECT_EQ(data.Birth(1024), 1U);
}

TEST(FileData, ATruncationRenewsWhatItCutsOff) {
  FileData data;
  data.Write(0, std::string(8192, 'a'), 1);
  data.Truncate(5001, 2);
  EXPECT_EQ(data.Birth(625), 1U) << "holds the last byte";
  EXPECT_EQ(data.Birth(626), 2U);
  EXPECT_EQ(data.resized(), 2U);
  data.Truncate(8192, 3);
  EXPECT_EQ(data.bytes()[5001], '\0');
}

TEST(FileData, AZeroedBlockKeepsItsStorageAndShowsItWhenTheZeroingIsLost) {
  FileData old;
  old.Write(0, std::string(8192, 'a'), 1);
  FileData zeroed = old;
  zeroed.Zero(0, 8192, 2);
  FileData written = zeroed;
  written.Write(100, "b", 3);
  EXPECT_FALSE(old.MayShow(zeroed, 0)) << "zeros are not stored";
  EXPECT_FALSE(zeroed.MayShow(old, 0)) << "nor is the mask torn";
  EXPECT_TRUE(old.MayShow(written, 0)) << "the write stored the whole block";
  EXPECT_FALSE(old.MayShow(written, 512)) << "of this block only";
  EXPECT_FALSE(written.MayShow(old, 0)) << "a commit never shows what it covers with zeros";
}

std::string States(const FileData& data) {
  std::string text;
  for (uint64_t block = 0; block < 5; ++block) {
    switch (data.StateOf(block)) {
      case BlockState::kHole:
        text += '-';
        break;
      case BlockState::kUnwritten:
        text += 'u';
        break;
      case BlockState::kWritten:
        text += 'w';
        break;
    }
  }
  return text;
}

TEST(FileData, AWriteGivesStorageToTheBlocksItTouchesAndNoOther) {
  FileData data;
  data.Write(4096 * 2 + 4090, "across two", 1);
  EXPECT_EQ(States(data), "--ww-");
  data.Truncate(4096 * 5, 2);
  data.Write(4096, "", 3);
  EXPECT_EQ(States(data), "--ww-") << "growing stores nothing, nor does writing nothing";
}

TEST(FileData, APreallocationFillsHolesUnwrittenAlsoBehindTheEnd) {
  FileData data;
  data.Write(4096, "a", 1);
  data.Allocate(4000, 4096 * 3 + 1);
  EXPECT_EQ(States(data), "uwuu-");
  EXPECT_EQ(data.size(), 4097U);
  data.Write(4096 * 2, "b", 2);
  EXPECT_EQ(States(data), "uwwu-");
  data.Truncate(4097, 3);
  EXPECT_EQ(States(data), "uw---") << "a cut frees what lies behind the old end, too";
}

TEST(FileData, ATruncationToTheSameSizeOrAGreaterOneKeepsWhatIsPreallocated) {
  FileData data;
  data.Write(0, "a", 1);
  data.Allocate(4096, 4096 * 4);
  data.Truncate(1, 2);
  data.Truncate(4096 * 2, 3);
  EXPECT_EQ(States(data), "wuuu-");
}

TEST(FileData, APunchFreesWholeBlocksOnlyAndAZeroedRangeKeepsAll) {
  FileData data;
  data.Write(0, std::string(4096 * 4, 'a'), 1);
  FileData zeroed = data;
  data.Punch(100, 4096 * 3 + 10, 2);
  EXPECT_EQ(States(data), "w--w-");
  zeroed.Zero(100, 4096 * 4 + 10, 2);
  EXPECT_EQ(States(zeroed), "wuuuu");
  zeroed.Punch(4096, 4096 * 3, 3);
  EXPECT_EQ(States(zeroed), "w--uu");
}

TEST(FileData, AnAllocationThatFailedMayHaveBeenMadeUntilTheBlockIsUsedOrFreed) {
  FileData data;
  data.Write(0, "a", 1);
  data.Allocate(0, 4096 * 4, true);
  EXPECT_TRUE(data.MayBe(1, BlockState::kHole));
  EXPECT_TRUE(data.MayBe(1, BlockState::kUnwritten));
  EXPECT_FALSE(data.MayBe(1, BlockState::kWritten));
  EXPECT_FALSE(data.MayBe(0, BlockState::kUnwritten));
  data.Write(4096, "b", 2);
  data.Punch(4096 * 2, 4096 * 3, 3);
  data.Allocate(4096 * 3, 4096 * 4);
  EXPECT_FALSE(data.MayBe(1, BlockState::kUnwritten));
  EXPECT_FALSE(data.MayBe(2, BlockState::kUnwritten));
  EXPECT_FALSE(data.MayBe(3, BlockState::kHole));
}

TEST(FileData, WhatATruncationHasNotFreedYetLiesBehindTheEndAsItWas) {
  FileData before;
  before.Write(0, std::string(4096 * 2, 'a'), 1);
  before.Allocate(4096 * 2, 4096 * 3);
  FileData data = before;
  data.Truncate(100, 2);
  EXPECT_FALSE(data.MayBe(1, BlockState::kWritten));
  data.MayKeepBehindEnd(before);
  EXPECT_TRUE(data.MayBe(1, BlockState::kWritten));
  EXPECT_TRUE(data.MayBe(1, BlockState::kHole));
  EXPECT_TRUE(data.MayBe(2, BlockState::kUnwritten));
  EXPECT_FALSE(data.MayBe(1, BlockState::kUnwritten));
  EXPECT_FALSE(data.MayBe(0, BlockState::kHole));
}

TEST(FileData, AFileThatHasNoBlocksAtItsEndCanBeCut) {
  FileData data;
  data.Write(0, "a", 1);
  data.Grow(32768);
  data.Truncate(20000, 2);
  EXPECT_EQ(data.size(), 20000U);
  data.Punch(0, 40000, 3);
  EXPECT_EQ(data.Birth(0), 3U);
}

}  // namespace
}  // namespace mirdax::crash
