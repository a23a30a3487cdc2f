// SPDX-License-Identifier: BSD-2-Clause
// The oracle allows what docs/CONSISTENCY.md allows, and refuses all else.
#include "tests/crash/oracle.h"

#include <gmock/gmock.h>

#include "tests/crash/pattern.h"
#include "tests/crash/showing.h"

namespace mirdax::crash {
namespace {

using testing::HasSubstr;

class OracleTest : public testing::Test {
 protected:
  // Begins with f: 8192 bytes of tag 1; and an empty directory d.
  OracleTest() : history_(Start()) {}

  static State Start() {
    State state;
    Apply(state, "create f 0600");
    Apply(state, "write f 0 8192 1");
    Apply(state, "mkdir d 0700");
    state.Settle();
    return state;
  }
  static void Apply(State& state, std::string_view line) {
    EXPECT_FALSE(state.Apply(*ParseOperation(line), 0)) << line;
  }
  void Do(std::string_view line) {
    EXPECT_FALSE(history_.Add(*ParseOperation(line), true)) << line;
  }
  Observation After(uint32_t index) { return Showing(history_.After(index)); }
  std::string Judge(const Observation& seen, Moment moment) {
    return Oracle(history_).Judge(seen, moment).value_or("legal");
  }
  static SeenNode& File(Observation& seen) { return seen.nodes.at(2); }

  // `blocks` of f are free instead of in use.
  static void Free(Observation& seen, int64_t blocks) {
    File(seen).attributes.blocks -= static_cast<uint64_t>(blocks * 8);
    seen.space.blocks_free += static_cast<uint64_t>(blocks);
  }

  History history_;
};

TEST_F(OracleTest, EveryPrefixSinceTheLastSyncIsLegalAndNoOther) {
  Do("create a 0600");
  Do("fsyncdir /");
  Do("create b 0600");
  Do("create c 0600");
  for (uint32_t p = 0; p <= 4; ++p) {
    const std::string verdict = Judge(After(p), {4, 4});
    if (p >= 2 || p == 1) {
      EXPECT_EQ(verdict, "legal") << p;  // 1 and 2 look alike
    } else {
      EXPECT_THAT(verdict, HasSubstr("/a is missing")) << p;
    }
  }
  EXPECT_EQ(Judge(After(0), {2, 1}), "legal") << "the sync was still under way";
  EXPECT_THAT(Judge(After(4), {3, 3}), HasSubstr("/c is there")) << "it had not begun";
}

TEST_F(OracleTest, ALaterOperationWithoutAnEarlierOneIsRefused) {
  Do("create a 0600");
  Do("create b 0600");
  State other = history_.After(0);
  Apply(other, "create b 0600");
  Observation seen = Showing(other);
  EXPECT_THAT(Judge(seen, {2, 2}), HasSubstr("/a is missing"));
}

TEST_F(OracleTest, HalfARenameIsRefused) {
  Do("rename f d/g");
  Observation both = After(0);
  both.nodes.at(3).entries["g"] = 2;
  EXPECT_NE(Judge(both, {1, 0}), "legal");
  Observation neither = After(1);
  neither.nodes.at(3).entries.clear();
  EXPECT_NE(Judge(neither, {1, 0}), "legal");
}

TEST_F(OracleTest, EveryAttributeCounts) {
  Do("setxattr f user.a 10 2");
  Do("syncall");
  const auto refuses = [&](const auto& change) {
    Observation seen = After(2);
    change(File(seen));
    return Judge(seen, {2, 2}) != "legal";
  };
  EXPECT_EQ(Judge(After(2), {2, 2}), "legal");
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.mode; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.uid; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.gid; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.nlink; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.rdev; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.mtime.seconds; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.ctime.seconds; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { ++node.attributes.atime.seconds; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { node.xattrs.clear(); }));
  EXPECT_TRUE(refuses([](SeenNode& node) { node.xattrs["user.a"][3] ^= 1; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { node.target = "x"; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { node.bytes[100] ^= 1; }));
  EXPECT_TRUE(refuses([](SeenNode& node) { node.bytes.pop_back(); }));
}

TEST_F(OracleTest, AnUnsyncedOverwriteMayBeTornByWordsAndNoFiner) {
  Do("write f 0 32 9");
  const std::string fresh = PatternBytes(9, 0, 32);
  Observation torn = After(0);
  File(torn).bytes.replace(8, 8, fresh.substr(8, 8));
  EXPECT_EQ(Judge(torn, {1, 0}), "legal");
  File(torn).bytes.replace(16, 4, fresh.substr(16, 4));
  EXPECT_THAT(Judge(torn, {1, 0}), HasSubstr("the bytes at 16"));
}

TEST_F(OracleTest, ASyncedOverwriteIsWhole) {
  Do("write f 0 32 9");
  Do("fsync f");
  Observation torn = After(0);
  File(torn).bytes.replace(8, 8, PatternBytes(9, 8, 8));
  EXPECT_NE(Judge(torn, {2, 2}), "legal");
  EXPECT_NE(Judge(After(0), {2, 2}), "legal");
  EXPECT_EQ(Judge(After(2), {2, 2}), "legal");
}

TEST_F(OracleTest, ASyncOfAnotherFileSaysNothingOfTheBytes) {
  Do("create g 0600");
  Do("write f 0 32 9");
  Do("fsync g");
  Observation seen = After(3);
  File(seen).bytes = history_.After(0).At(2).data->bytes();
  EXPECT_EQ(Judge(seen, {3, 3}), "legal");
}

TEST_F(OracleTest, BlocksNewToAFileAreWholeOrAbsent) {
  Do("write f 8192 4096 9");
  Observation half = After(1);
  File(half).bytes.replace(8192 + 64, 64, std::string(64, '\0'));
  EXPECT_THAT(Judge(half, {1, 1}), HasSubstr("the bytes at 8256"));
  EXPECT_EQ(Judge(After(0), {1, 1}), "legal");
}

TEST_F(OracleTest, TheSizeNeverCoversWhatWasNotStored) {
  Do("append f 100 9");
  Observation seen = After(1);
  File(seen).bytes.replace(8192, 100, std::string(100, '\0'));
  EXPECT_NE(Judge(seen, {1, 1}), "legal");
  Observation between = After(1);
  File(between).bytes.resize(8200);
  EXPECT_THAT(Judge(between, {1, 1}), HasSubstr("a size it did not have"));
}

TEST_F(OracleTest, BytesOfAnotherFileAreRefused) {
  Do("create g 0600");
  Do("write g 0 8192 5");
  Do("write f 0 4096 9");
  Observation seen = After(3);
  File(seen).bytes.replace(64, 8, PatternBytes(5, 64, 8));
  EXPECT_NE(Judge(seen, {3, 3}), "legal");
}

TEST_F(OracleTest, AWriteIntoAZeroedRangeMayMeetOldBytesWithinAWordAndAnOverwriteMayNot) {
  Do("zero f 0 4096");
  Do("write f 0 12 9");
  Observation seen = After(0);
  File(seen).bytes.replace(8, 4, PatternBytes(9, 8, 4));
  EXPECT_EQ(Judge(seen, {2, 2}), "legal");
  File(seen).bytes[9] ^= 1;
  EXPECT_NE(Judge(seen, {2, 2}), "legal");
}

TEST_F(OracleTest, ATruncationIsWholeAndKeepsTheOldTail) {
  Do("truncate f 5000");
  Do("truncate f 8192");
  Observation zeroed = After(0);
  File(zeroed).bytes.replace(5000, 3192, std::string(3192, '\0'));
  EXPECT_EQ(Judge(After(0), {2, 2}), "legal");
  EXPECT_EQ(Judge(After(1), {2, 2}), "legal");
  EXPECT_EQ(Judge(After(2), {2, 2}), "legal");
  File(zeroed).attributes = After(1).nodes.at(2).attributes;  // times of the first
  EXPECT_NE(Judge(zeroed, {2, 2}), "legal");
}

TEST_F(OracleTest, UnderTheSyncOptionEachOperationIsDurableWhenItReturns) {
  History synced(Start(), History::Synced::kEverything);
  EXPECT_FALSE(synced.Add(*ParseOperation("write f 0 100 9"), true));
  const Oracle oracle(synced);
  EXPECT_FALSE(oracle.Judge(Showing(synced.After(0)), {1, 0}));
  EXPECT_TRUE(oracle.Judge(Showing(synced.After(0)), {1, 1}));
  EXPECT_FALSE(oracle.Judge(Showing(synced.After(1)), {1, 1}));
}

TEST_F(OracleTest, ASyncedPreallocationIsThereAndAnUnsyncedOneMayBe) {
  Do("fallocate f 8192 8192 keep-size");
  Do("fsync f");
  EXPECT_EQ(Judge(After(0), {1, 1}), "legal");
  EXPECT_EQ(Judge(After(1), {1, 1}), "legal");
  EXPECT_EQ(Judge(After(2), {2, 2}), "legal");
  Observation lost = After(2);
  File(lost).blocks.resize(2);
  Free(lost, 2);
  EXPECT_THAT(Judge(lost, {2, 2}), HasSubstr("block 2 is a hole"));
  Observation written = After(2);
  File(written).blocks.at(3) = BlockState::kWritten;
  EXPECT_THAT(Judge(written, {2, 2}), HasSubstr("block 3 is written"));
}

TEST_F(OracleTest, WhatWasPunchedAndSyncedIsFree) {
  Do("punch f 0 4096");
  Do("fdatasync f");
  Observation kept = After(2);
  File(kept).blocks.at(0) = BlockState::kUnwritten;
  Free(kept, -1);
  EXPECT_EQ(Judge(After(2), {2, 2}), "legal");
  EXPECT_THAT(Judge(kept, {2, 2}), HasSubstr("block 0 is unwritten"));
  EXPECT_THAT(Judge(kept, {2, 1}), HasSubstr("block 0 is unwritten")) << "it never was";
  EXPECT_EQ(Judge(After(0), {2, 1}), "legal") << "the sync was still under way";
}

TEST_F(OracleTest, BytesAndStorageOfABlockAreOfOneOperation) {
  Do("punch f 0 4096");
  Do("fallocate f 0 4096");
  Observation seen = After(0);
  File(seen).blocks.at(0) = BlockState::kUnwritten;
  EXPECT_THAT(Judge(seen, {2, 2}), HasSubstr("the bytes at 0")) << "nor is the hole filled with it";
  File(seen).bytes.replace(0, 4096, std::string(4096, '\0'));
  EXPECT_EQ(Judge(seen, {2, 2}), "legal");
}

TEST_F(OracleTest, ATruncationThatIsThereHasFreedItsBlocks) {
  Do("fallocate f 8192 4096 keep-size");
  Do("truncate f 4096");
  Observation seen = After(2);
  File(seen).blocks.resize(3, BlockState::kHole);
  File(seen).blocks.at(2) = BlockState::kUnwritten;
  Free(seen, -1);
  EXPECT_THAT(Judge(seen, {2, 2}), HasSubstr("block 2 is unwritten"));
}

TEST_F(OracleTest, AnAllocationThatFailedMayHaveLeftAPart) {
  EXPECT_FALSE(history_.Add(*ParseOperation("fallocate f 8192 8192"), false));
  Do("fsync f");
  Observation seen = After(0);
  File(seen).attributes = After(2).nodes.at(2).attributes;
  EXPECT_EQ(Judge(seen, {2, 2}), "legal");
  File(seen).blocks.push_back(BlockState::kUnwritten);
  Free(seen, -1);
  EXPECT_EQ(Judge(seen, {2, 2}), "legal");
  File(seen).blocks.back() = BlockState::kWritten;
  EXPECT_NE(Judge(seen, {2, 2}), "legal");
}

TEST_F(OracleTest, BlocksOfAFileThatHoldNothingAreRefused) {
  Observation seen = After(0);
  Free(seen, -1);
  EXPECT_THAT(Judge(seen, {0, 0}), HasSubstr("/f: occupies 3 blocks, not 2"));
}

TEST_F(OracleTest, LostSpaceIsRefused) {
  Observation seen = After(0);
  --seen.space.blocks_free;
  EXPECT_THAT(Judge(seen, {0, 0}), HasSubstr("blocks"));
  seen = After(0);
  --seen.space.inodes_free;
  EXPECT_THAT(Judge(seen, {0, 0}), HasSubstr("inodes"));
}

TEST_F(OracleTest, TwoNamesOfOneInodeAreNotTwoInodes) {
  Do("link f g");
  Observation seen = After(1);
  seen.nodes[9] = File(seen);
  seen.nodes.at(1).entries["g"] = 9;
  seen.space.blocks_free -= 2;
  seen.space.inodes_free -= 1;
  EXPECT_THAT(Judge(seen, {1, 1}), HasSubstr("/g: another inode"));
}

}  // namespace
}  // namespace mirdax::crash
