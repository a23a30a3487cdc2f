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
