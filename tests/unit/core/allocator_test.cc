// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/allocator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/unit/core/engine_fixture.h"

namespace mirdax {
namespace {

using test::Engine;

class AllocatorTest : public testing::Test {
 protected:
  AllocatorTest() { engine_.sink().applied_lsn = kNoMirror; }

  Allocator& allocator() { return engine_.allocator(); }

  BlockRun Reserve(uint64_t count, BlockNo goal = 0, SpaceUse use = SpaceUse::kData) {
    const auto run = allocator().Reserve(count, goal, use);
    EXPECT_TRUE(run) << run.error().message;
    return run.value_or(BlockRun{});
  }
  void Use(BlockRun run) {
    auto tx = engine_.transactions().Begin(2);
    ASSERT_TRUE(tx);
    ASSERT_TRUE(allocator().Use(*tx, run));
  }
  TxId Free(BlockRun run) {
    auto tx = engine_.transactions().Begin(2);
    MIRDAX_CHECK(tx.has_value());
    EXPECT_TRUE(allocator().Free(*tx, run));
    return tx->id();
  }
  ErrorCode ReserveError(SpaceUse use) {
    const auto run = allocator().Reserve(1, 0, use);
    return run ? ErrorCode::kInvalid : run.error().code;
  }
  uint64_t reserve() {
    const SpaceStats stats = allocator().stats();
    return stats.blocks_free - stats.blocks_available;
  }

  Engine engine_;
};

TEST_F(AllocatorTest, ReservedUsedFreedStableAndFreeAgain) {
  const uint64_t free = allocator().stats().blocks_free;
  const BlockRun run = Reserve(10);
  EXPECT_EQ(run.length, 10U);
  EXPECT_EQ(allocator().stats().blocks_free, free - 10);
  Use(run);
  EXPECT_EQ(allocator().stats().blocks_free, free - 10);
  Free(run);
  EXPECT_EQ(allocator().stats().blocks_free, free);
  ASSERT_TRUE(allocator().Reclaim());
  EXPECT_EQ(allocator().stats().blocks_free, free);
  allocator().Unreserve(Reserve(10));
  EXPECT_EQ(allocator().stats().blocks_free, free);
}

TEST_F(AllocatorTest, WhatIsReservedOnlyIsFreeAfterARestartAndWhatIsUsedIsNot) {
  const uint64_t free = allocator().stats().blocks_free;
  Reserve(10);
  const BlockRun used = Reserve(7);
  Use(used);
  ASSERT_TRUE(engine_.transactions().CommitAll());
  engine_.Restart();
  EXPECT_EQ(allocator().stats().blocks_free, free - 7);
  Free(used);
  EXPECT_EQ(allocator().stats().blocks_free, free);
}

TEST_F(AllocatorTest, R2AFreedBlockIsNotHandedOutBeforeEveryMirrorHasAppliedTheRecord) {
  engine_.sink().applied_lsn = 0;
  std::set<BlockNo> freed;
  for (;;) {
    const auto run = allocator().Reserve(64, 0, SpaceUse::kMetadata);
    if (!run) break;
    Use(*run);
    if (freed.empty()) {
      for (uint64_t b = 0; b < run->length; ++b) freed.insert(run->start + b);
    }
  }
  Free({*freed.begin(), freed.size()});
  // Not yet: uncommitted; committed; persistent here; applied on the mirror a little too short.
  EXPECT_EQ(ReserveError(SpaceUse::kMetadata), ErrorCode::kBusy);
  ASSERT_TRUE(engine_.transactions().CommitAll());
  EXPECT_EQ(ReserveError(SpaceUse::kMetadata), ErrorCode::kBusy);
  ASSERT_TRUE(engine_.transactions().Checkpoint(false));
  EXPECT_EQ(ReserveError(SpaceUse::kMetadata), ErrorCode::kBusy);
  engine_.sink().applied_lsn = engine_.CommitWord() - 64;
  ASSERT_TRUE(engine_.transactions().Checkpoint(false));
  EXPECT_EQ(ReserveError(SpaceUse::kMetadata), ErrorCode::kBusy);
  engine_.sink().applied_lsn = engine_.CommitWord();
  ASSERT_TRUE(engine_.transactions().Checkpoint(false));
  const BlockRun again = Reserve(64, 0, SpaceUse::kMetadata);
  EXPECT_TRUE(freed.contains(again.start));
}

TEST_F(AllocatorTest, ReclaimCommitsCheckpointsAndAsksTheMirrors) {
  engine_.sink().applied_lsn = 0;
  engine_.sink().applies = true;
  const BlockRun run = Reserve(5);
  Use(run);
  Free(run);
  ASSERT_TRUE(allocator().Reclaim());
  EXPECT_EQ(Reserve(1, run.start).start, run.start);
}

TEST_F(AllocatorTest, ReclaimOfNothingOnAFullPoolIsNoSpace) {
  while (allocator().Reserve(64, 0, SpaceUse::kMetadata)) {
  }
  const Status reclaimed = allocator().Reclaim();
  ASSERT_FALSE(reclaimed);
  EXPECT_EQ(reclaimed.error().code, ErrorCode::kNoSpace);
}

TEST_F(AllocatorTest, DataLeavesTheReserveToMetadata) {
  while (allocator().Reserve(1, 0, SpaceUse::kData)) {
  }
  EXPECT_EQ(ReserveError(SpaceUse::kData), ErrorCode::kNoSpace);
  EXPECT_EQ(allocator().stats().blocks_available, 0U);
  const uint64_t left = allocator().stats().blocks_free;
  EXPECT_GE(left, 64U);
  EXPECT_LE(left, engine_.geometry().data_blocks / 8);
  for (uint64_t i = 0; i < left; ++i) Reserve(1, 0, SpaceUse::kMetadata);
  EXPECT_EQ(ReserveError(SpaceUse::kMetadata), ErrorCode::kNoSpace);
}

TEST_F(AllocatorTest, ABigRequestIsOneRun) {
  EXPECT_EQ(Reserve(200).length, 200U);
  EXPECT_EQ(Reserve(300).length, 300U);
}

TEST_F(AllocatorTest, AnAppendGetsTheBlockBehindItsLast) {
  BlockRun last = Reserve(4);
  for (int i = 0; i < 20; ++i) {
    const BlockRun next = Reserve(4, last.start + last.length);
    EXPECT_EQ(next.start, last.start + last.length);
    last = next;
  }
}

TEST_F(AllocatorTest, ContiguousSpaceIsPreferredToNearness) {
  // Every second block of the first 100 is taken.
  const BlockRun all = Reserve(100);
  for (uint64_t i = 0; i < 100; i += 2) allocator().Unreserve({all.start + i, 1});
  const BlockRun run = Reserve(20, all.start + 1);
  EXPECT_EQ(run.length, 20U);
  EXPECT_GE(run.start, all.start + 99);
  EXPECT_EQ(Reserve(1, all.start + 1).start, all.start + 2);  // a small one fits near
}

TEST_F(AllocatorTest, AFragmentedPoolGivesWhatItHas) {
  std::vector<BlockNo> blocks;
  for (;;) {
    const auto run = allocator().Reserve(1, 0, SpaceUse::kMetadata);
    if (!run) break;
    blocks.push_back(run->start);
  }
  std::ranges::sort(blocks);
  for (size_t i = 0; i < blocks.size(); i += 3) allocator().Unreserve({blocks[i], 1});
  allocator().Unreserve({blocks[301], 1});  // next to 300: a run of two
  EXPECT_EQ(Reserve(50, 0, SpaceUse::kMetadata).length, 2U);
  EXPECT_EQ(Reserve(50, 0, SpaceUse::kMetadata).length, 1U);
}

TEST_F(AllocatorTest, FreeingWhatIsNotInUseIsCorruptAndChangesNothing) {
  const BlockRun run = Reserve(10);
  Use(run);
  auto tx = engine_.transactions().Begin(4);
  for (const BlockRun bad :
       {BlockRun{run.start, 11}, BlockRun{run.start - 1, 3}, BlockRun{run.start + 20, 1},
        BlockRun{0, 1}, BlockRun{engine_.geometry().pool_size / kBlockSize, 1},
        BlockRun{run.start, ~uint64_t{0}}, BlockRun{run.start, 0}}) {
    const Status freed = allocator().Free(*tx, bad);
    ASSERT_FALSE(freed);
    EXPECT_EQ(freed.error().code, ErrorCode::kCorrupt);
  }
  EXPECT_TRUE(allocator().Free(*tx, run));
  EXPECT_FALSE(allocator().Free(*tx, run));  // twice
}

TEST_F(AllocatorTest, R9BitsBehindTheEndAreNeverHandedOutWhateverTheBitmapSays) {
  const Geometry& geometry = engine_.geometry();
  const std::vector<std::byte> zeros(kBlockSize);
  engine_.region().Write(geometry.block_bitmap.offset + geometry.block_bitmap.length - kBlockSize,
                         zeros);
  engine_.region().Write(geometry.inode_bitmap.offset + geometry.inode_bitmap.length - kBlockSize,
                         zeros);
  engine_.Restart();
  uint64_t blocks = 0;
  while (const auto run = allocator().Reserve(100, 0, SpaceUse::kMetadata)) {
    EXPECT_TRUE(geometry.IsDataRange(run->start, run->length));
    blocks += run->length;
  }
  EXPECT_EQ(blocks, geometry.data_blocks);
  auto tx = engine_.transactions().Begin(4);
  uint64_t inodes = 0;
  while (const auto ino = allocator().AllocateInode(*tx, 1)) {
    EXPECT_GT(*ino, kRootIno);
    EXPECT_LT(*ino, geometry.inode_count);
    ++inodes;
  }
  EXPECT_EQ(inodes, geometry.inode_count - 2);
}

TEST_F(AllocatorTest, RunsMayCrossGroupsWhenFreed) {
  test::EngineOptions options;
  options.pool_size = uint64_t{600} << 20;
  Engine big(options);
  std::vector<BlockRun> runs;
  for (uint64_t taken = 0; taken < 2 * kBlocksPerGroup;) {
    const auto run =
        big.allocator().Reserve(kBlocksPerGroup, big.DataBlock(taken), SpaceUse::kMetadata);
    ASSERT_TRUE(run);
    ASSERT_EQ(run->start, big.DataBlock(taken));
    taken += run->length;
    runs.push_back(*run);
  }
  auto tx = big.transactions().Begin(8);
  ASSERT_TRUE(tx);
  for (const BlockRun& run : runs) ASSERT_TRUE(big.allocator().Use(*tx, run));
  const BlockNo middle = big.DataBlock(kBlocksPerGroup - 100);
  EXPECT_TRUE(big.allocator().Free(*tx, {middle, 200}));
  EXPECT_FALSE(big.allocator().Free(*tx, {middle + 199, 2}));
  EXPECT_TRUE(big.allocator().Free(*tx, {middle + 200, 2}));
}

TEST_F(AllocatorTest, InodesAreFoundNearTheParentAndReusedOnceStable) {
  Ino first = 0;
  TxId id = 0;
  {
    auto tx = engine_.transactions().Begin(4);
    ASSERT_TRUE(tx);
    first = allocator().AllocateInode(*tx, 40).value_or(0);
    EXPECT_EQ(first, 40U);
    EXPECT_EQ(allocator().AllocateInode(*tx, 40).value_or(0), 41U);
    EXPECT_TRUE(allocator().IsInodeInUse(first).value_or(false));
    EXPECT_TRUE(allocator().FreeInode(*tx, first));
    EXPECT_FALSE(allocator().IsInodeInUse(first).value_or(true));
    EXPECT_EQ(allocator().AllocateInode(*tx, 40).value_or(0), 42U);
    EXPECT_FALSE(allocator().FreeInode(*tx, first));
    EXPECT_FALSE(allocator().FreeInode(*tx, kRootIno));
    EXPECT_FALSE(allocator().FreeInode(*tx, 0));
    EXPECT_FALSE(allocator().FreeInode(*tx, engine_.geometry().inode_count));
    id = tx->id();
  }
  ASSERT_TRUE(engine_.transactions().Commit(id));
  ASSERT_TRUE(engine_.transactions().Checkpoint(true));
  auto tx = engine_.transactions().Begin(4);
  EXPECT_EQ(allocator().AllocateInode(*tx, 40).value_or(0), 40U);
}

TEST_F(AllocatorTest, WithoutAFreeInodeQuarantinedOnesAreBusyElseNoSpace) {
  auto tx = engine_.transactions().Begin(4);
  Ino last = 0;
  for (;;) {
    const auto ino = allocator().AllocateInode(*tx, 1);
    if (!ino) {
      EXPECT_EQ(ino.error().code, ErrorCode::kNoSpace);
      break;
    }
    last = *ino;
  }
  EXPECT_EQ(allocator().stats().inodes_free, 0U);
  EXPECT_TRUE(allocator().FreeInode(*tx, last));
  const auto busy = allocator().AllocateInode(*tx, 1);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::kBusy);
}

TEST_F(AllocatorTest, AgreesWithASimpleModelOverManyRandomSteps) {
  std::mt19937_64 random(7);
  std::set<BlockNo> reserved;
  std::set<BlockNo> used;
  std::map<TxId, std::set<BlockNo>> quarantined;
  std::map<TxId, Lsn> end;  // of each transaction's record
  engine_.sink().applied_lsn = 0;
  engine_.sink().on_post = [&](const ReplicationBatch& batch) {
    const auto record = ReadRecord(engine_.region(), engine_.geometry(), batch.from, batch.to);
    ASSERT_TRUE(record);
    end[record->header.transaction] = batch.to;
  };
  const auto pick = [&](const std::set<BlockNo>& from) {
    auto it = from.lower_bound(engine_.DataBlock(random() % engine_.geometry().data_blocks));
    if (it == from.end()) it = from.begin();
    BlockRun run{*it, 0};
    const uint64_t most = 1 + random() % 50;
    for (; it != from.end() && *it == run.start + run.length && run.length < most; ++it) {
      ++run.length;
    }
    return run;
  };
  const auto move = [](BlockRun run, std::set<BlockNo>& from, std::set<BlockNo>* to) {
    for (uint64_t b = 0; b < run.length; ++b) {
      ASSERT_EQ(from.erase(run.start + b), 1U);
      if (to != nullptr) to->insert(run.start + b);
    }
  };
  for (int step = 0; step < 20000; ++step) {
    switch (random() % 6) {
      case 0:
      case 1: {
        const BlockNo goal = random() % 2 == 0 ? 0 : engine_.DataBlock(random() % 1000);
        const auto run = allocator().Reserve(1 + random() % 60, goal, SpaceUse::kMetadata);
        if (!run) break;
        for (uint64_t b = 0; b < run->length; ++b) {
          const BlockNo block = run->start + b;
          ASSERT_TRUE(reserved.insert(block).second);
          ASSERT_FALSE(used.contains(block));
          for (const auto& [id, blocks] : quarantined) ASSERT_FALSE(blocks.contains(block));
        }
        break;
      }
      case 2: {
        if (reserved.empty()) break;
        const BlockRun run = pick(reserved);
        Use(run);
        move(run, reserved, &used);
        break;
      }
      case 3: {
        if (reserved.empty()) break;
        const BlockRun run = pick(reserved);
        allocator().Unreserve(run);
        move(run, reserved, nullptr);
        break;
      }
      case 4: {
        if (used.empty()) break;
        const BlockRun run = pick(used);
        const TxId id = Free(run);
        move(run, used, &quarantined[id]);
        break;
      }
      default: {
        if (random() % 3 == 0) engine_.sink().applied_lsn = engine_.CommitWord();
        ASSERT_TRUE(engine_.transactions().CommitAll());
        if (random() % 3 == 0) {
          ASSERT_TRUE(engine_.transactions().Checkpoint(false));
        }
        const Lsn stable =
            std::min(engine_.private_store().Get().tail, engine_.sink().applied_lsn.load());
        std::erase_if(quarantined, [&](const auto& entry) {
          return end.contains(entry.first) && end[entry.first] <= stable;
        });
        break;
      }
    }
    ASSERT_EQ(allocator().stats().blocks_free,
              engine_.geometry().data_blocks - used.size() - reserved.size());
    if (step % 1000 == 999) {
      engine_.sink().applied_lsn = engine_.CommitWord();
      ASSERT_TRUE(engine_.transactions().CommitAll());
      engine_.sink().applied_lsn = engine_.CommitWord();
      engine_.Restart();
      reserved.clear();
      quarantined.clear();
      end.clear();  // ids begin anew
      ASSERT_EQ(allocator().stats().blocks_free, engine_.geometry().data_blocks - used.size());
    }
  }
}

TEST_F(AllocatorTest, FilledToTheLastBlockAndEmptiedAgain) {
  const uint64_t free = allocator().stats().blocks_free;
  for (int round = 0; round < 3; ++round) {
    std::vector<BlockRun> runs;
    uint64_t taken = 0;
    for (;;) {
      const auto run = allocator().Reserve(37, 0, SpaceUse::kMetadata);
      if (!run) {
        ASSERT_EQ(run.error().code, taken == free ? ErrorCode::kNoSpace : ErrorCode::kBusy);
        if (taken == free) break;
        ASSERT_TRUE(allocator().Reclaim());
        continue;
      }
      Use(*run);
      taken += run->length;
      runs.push_back(*run);
    }
    EXPECT_EQ(taken, free);
    for (const BlockRun& run : runs) Free(run);
    EXPECT_EQ(allocator().stats().blocks_free, free);
  }
}

}  // namespace
}  // namespace mirdax
