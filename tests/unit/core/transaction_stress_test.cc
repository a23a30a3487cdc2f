// SPDX-License-Identifier: BSD-2-Clause
// Many threads at once; worth most under the thread sanitizer.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/unit/core/engine_fixture.h"

namespace mirdax {
namespace {

using test::Engine;

TEST(TransactionStressTest, ThreadsThatShareBlocksKeepEachOthersInodes) {
  Engine engine({.record = false});
  engine.sink().applied_lsn = 0;
  engine.sink().applies = true;
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kSteps = 400;
  std::atomic<bool> stop{false};
  std::thread checkpoints([&] {
    while (!stop) {
      EXPECT_TRUE(engine.transactions().Checkpoint(true));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // Slot t + 1 of every inode table block is this thread's own.
      const uint64_t slot = (t + 1) * kInodeSize;
      std::mt19937_64 random(t);
      std::array<uint64_t, 8> expected{};
      for (uint64_t i = 1; i <= kSteps; ++i) {
        const uint64_t which = random() % expected.size();
        const TxId id = engine.Store(engine.InodeBlock(1 + which), slot, i);
        expected[which] = i;
        if (i % 7 == 0) {
          ASSERT_TRUE(engine.transactions().Commit(id));
        }
        const uint64_t other = random() % expected.size();
        ASSERT_EQ(engine.Load(engine.InodeBlock(1 + other), slot), expected[other]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  checkpoints.join();
  ASSERT_TRUE(engine.transactions().CommitAll());
  engine.Restart();
  EXPECT_GT(engine.CommitWord(), 0U);
}

TEST(TransactionStressTest, AllocatingAndFreeingThreadsNeverShareABlock) {
  Engine engine({.record = false});
  engine.sink().applied_lsn = 0;
  engine.sink().applies = true;
  std::vector<std::atomic<uint64_t>> owner(engine.geometry().data_blocks);
  constexpr uint64_t kThreads = 4;
  const uint64_t free_before = engine.allocator().stats().blocks_free;
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<BlockRun> mine;
      for (int i = 0; i < 600; ++i) {
        if (mine.size() < 8 && random() % 2 == 0) {
          const auto run = engine.allocator().Reserve(1 + random() % 30, 0, SpaceUse::kData);
          if (!run) {
            ASSERT_EQ(run.error().code, ErrorCode::kBusy);
            const Status reclaimed = engine.allocator().Reclaim();
            ASSERT_TRUE(reclaimed || reclaimed.error().code == ErrorCode::kNoSpace);
            continue;
          }
          for (uint64_t b = 0; b < run->length; ++b) {
            const uint64_t index = run->start + b - engine.geometry().first_data_block();
            ASSERT_EQ(owner[index].exchange(t), 0U);
          }
          auto tx = engine.transactions().Begin(2);
          ASSERT_TRUE(tx);
          ASSERT_TRUE(engine.allocator().Use(*tx, *run));
          mine.push_back(*run);
        } else if (!mine.empty()) {
          const BlockRun run = mine.back();
          mine.pop_back();
          for (uint64_t b = 0; b < run.length; ++b) {
            const uint64_t index = run.start + b - engine.geometry().first_data_block();
            ASSERT_EQ(owner[index].exchange(0), t);
          }
          auto tx = engine.transactions().Begin(2);
          ASSERT_TRUE(tx);
          ASSERT_TRUE(engine.allocator().Free(*tx, run));
        }
        if (i % 20 == 0) {
          ASSERT_TRUE(engine.transactions().CommitAll());
        }
      }
      for (const BlockRun& run : mine) {
        for (uint64_t b = 0; b < run.length; ++b) {
          owner[run.start + b - engine.geometry().first_data_block()] = 0;
        }
        auto tx = engine.transactions().Begin(2);
        ASSERT_TRUE(engine.allocator().Free(*tx, run));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(engine.transactions().CommitAll());
  EXPECT_EQ(engine.allocator().stats().blocks_free, free_before);
}

}  // namespace
}  // namespace mirdax
