// SPDX-License-Identifier: BSD-2-Clause
// The journal is a ring: what is reused, when, and who waits.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/unit/core/engine_fixture.h"

namespace mirdax {
namespace {

using namespace std::chrono_literals;
using test::Engine;

// A transaction that dirties `count` whole blocks of the data area.
TxId StoreBlocks(Engine& engine, uint64_t count, uint64_t value) {
  auto tx = engine.transactions().Begin(static_cast<uint32_t>(count));
  MIRDAX_CHECK(tx.has_value());
  for (uint64_t i = 0; i < count; ++i) {
    std::byte* bytes = tx->Create(engine.DataBlock(i), BlockKind::kInodes);
    for (uint64_t at = 0; at < kBlockSize; at += 8) std::memcpy(bytes + at, &value, 8);
  }
  return tx->id();
}

TEST(JournalSpaceTest, TheRingWrapsThousandsOfTimesAndEveryLapRecovers) {
  Engine engine;
  std::mt19937_64 random(11);
  constexpr uint64_t kLaps = 2000;
  const uint64_t journal = engine.geometry().journal.length;
  std::vector<uint64_t> expected(40);
  uint64_t n = 0;
  Lsn next_check = 100 * journal;
  while (engine.CommitWord() < kLaps * journal) {
    ++n;
    const uint64_t count = 1 + random() % 40;
    StoreBlocks(engine, count, n);
    std::fill_n(expected.begin(), count, n);
    ASSERT_TRUE(engine.transactions().CommitAll());
    if (engine.CommitWord() < next_check) continue;
    next_check += 100 * journal;
    const auto image = engine.recorder().CrashImage({});
    ASSERT_TRUE(image);
    Engine after(image->bytes());
    for (uint64_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(after.LoadHome(after.DataBlock(i), 1024), expected[i]);
    }
  }
}

TEST(JournalSpaceTest, ALaggingMirrorHoldsOperationsBackUntilItApplied) {
  Engine engine;
  engine.sink().applied_lsn = 0;
  const uint64_t journal = engine.geometry().journal.length;
  std::atomic<bool> stop{false};
  std::atomic<Lsn> lead{0};
  // A mirror that applies what it is asked to, late.
  std::thread mirror([&] {
    while (!stop) {
      std::this_thread::sleep_for(300us);
      const Lsn requested = engine.sink().requested;
      if (requested > engine.sink().applied_lsn) engine.sink().applied_lsn = requested;
    }
  });
  engine.sink().on_post = [&](const ReplicationBatch& batch) {
    // R2's cousin: bytes that a mirror still needs are never overwritten.
    lead = std::max(lead.load(), batch.to - engine.sink().applied_lsn);
  };
  for (uint64_t n = 0; n < 400; ++n) {
    StoreBlocks(engine, 20, n);
    ASSERT_TRUE(engine.transactions().CommitAll());
  }
  stop = true;
  mirror.join();
  EXPECT_LE(lead, journal);
  EXPECT_GT(lead, journal / 4);  // it did lag
}

TEST(JournalSpaceTest, AFrozenMirrorIsFoundByAnEmptyBatchWhenNothingElseIsPosted) {
  Engine engine;
  engine.sink().applied_lsn = 0;
  // The sink takes the mirror out when it is made to wait for it.
  bool frozen = true;
  uint64_t pings = 0;
  engine.sink().on_post = [&](const ReplicationBatch& batch) {
    if (batch.from == batch.to && batch.data.empty()) ++pings;
  };
  engine.sink().on_wait = [&] {
    if (pings > 0 && frozen) {
      frozen = false;
      engine.sink().applied_lsn = kNoMirror;
    }
  };
  for (uint64_t n = 0; n < 40; ++n) {
    StoreBlocks(engine, 20, n);
    ASSERT_TRUE(engine.transactions().CommitAll());
  }
  EXPECT_FALSE(frozen);
  EXPECT_GE(pings, 1U);
}

TEST(JournalSpaceTest,
     AMirrorThatAnswersAndDoesNotApplyHoldsOperationsUpForItsDeadlineOnly) {  // R10
  Engine engine;
  engine.sink().applied_lsn = 0;
  engine.sink().patience = 500ms;
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t n = 0; n < 40; ++n) {
    StoreBlocks(engine, 20, n);
    ASSERT_TRUE(engine.transactions().CommitAll());
  }
  EXPECT_EQ(engine.sink().applied_lsn, kNoMirror);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST(JournalSpaceTest, AMirrorThatAppliesSlowlyIsNotALaggard) {
  Engine engine;
  engine.sink().applied_lsn = 0;
  engine.sink().patience = 600ms;
  std::atomic<bool> stop{false};
  std::thread mirror([&] {  // a little, long before its deadline, again and again
    while (!stop) {
      std::this_thread::sleep_for(150ms);
      const Lsn applied = engine.sink().applied_lsn;
      if (applied < engine.sink().requested) engine.sink().applied_lsn = applied + 16384;
    }
  });
  engine.Store(engine.InodeBlock(1), 0, 1);
  StoreBlocks(engine, 30, 1);
  ASSERT_TRUE(engine.transactions().CommitAll());
  ASSERT_TRUE(engine.transactions().Checkpoint(true));
  stop = true;
  mirror.join();
  EXPECT_NE(engine.sink().applied_lsn, kNoMirror);
}

TEST(JournalSpaceTest, TheRunningTransactionClosesBeforeAQuarterOfTheJournal) {
  Engine engine;
  for (uint64_t i = 0; i < 500; ++i) {
    auto tx = engine.transactions().Begin(1);
    ASSERT_TRUE(tx);
    tx->Create(engine.DataBlock(i), BlockKind::kInodes);
  }
  ASSERT_TRUE(engine.transactions().CommitAll());
  EXPECT_GT(engine.sink().batches.size(), 6U);
  for (const auto& batch : engine.sink().batches) {
    EXPECT_LE(batch.to - batch.from, engine.geometry().journal.length / 4);
  }
}

TEST(JournalSpaceTest, AnOperationThatNeedsMoreThanItSaidStillCommits) {
  Engine engine;
  engine.sink().applied_lsn = 0;
  engine.sink().applies = true;
  for (uint64_t round = 0; round < 10; ++round) {
    auto tx = engine.transactions().Begin(1);
    ASSERT_TRUE(tx);
    for (uint64_t i = 0; i < 100; ++i) tx->Create(engine.DataBlock(i), BlockKind::kInodes);
    { const Tx ended = std::move(*tx); }
    ASSERT_TRUE(engine.transactions().CommitAll());
  }
}

TEST(JournalSpaceTest, AnOperationThatNamesMoreThanTheJournalHoldsRunsAlone) {
  Engine engine;
  engine.Store(engine.InodeBlock(1), 0, 1);
  auto tx = engine.transactions().Begin(1000000);
  ASSERT_TRUE(tx) << tx.error().message;
}

TEST(JournalSpaceTest, ATransactionThatCannotFitTheJournalStopsTheFilesystem) {
  Engine engine;
  {
    auto tx = engine.transactions().Begin(1);
    for (uint64_t i = 0; i < 300; ++i) tx->Create(engine.DataBlock(i), BlockKind::kInodes);
  }
  const Status committed = engine.transactions().CommitAll();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::kShutdown);
  EXPECT_EQ(engine.CommitWord(), 0U);
}

TEST(JournalSpaceTest, ACheckpointFreesTheJournalAndAsksTheMirrors) {
  Engine engine;
  engine.Store(engine.InodeBlock(1), 0, 1);
  ASSERT_TRUE(engine.transactions().CommitAll());
  EXPECT_LT(engine.transactions().stats().journal_free, engine.geometry().journal.length);
  ASSERT_TRUE(engine.transactions().Checkpoint(true));
  EXPECT_EQ(engine.sink().requested, engine.CommitWord());
  EXPECT_EQ(engine.transactions().stats().journal_free, engine.geometry().journal.length);
}

TEST(JournalSpaceTest, AWaitingCheckpointReturnsOnceTheMirrorsHaveApplied) {
  Engine engine;
  engine.sink().applied_lsn = 0;
  engine.Store(engine.InodeBlock(1), 0, 1);
  ASSERT_TRUE(engine.transactions().CommitAll());
  const Lsn target = engine.CommitWord();
  std::atomic<bool> done{false};
  std::thread waiter([&] {
    EXPECT_TRUE(engine.transactions().Checkpoint(true));
    done = true;
  });
  std::this_thread::sleep_for(30ms);
  EXPECT_FALSE(done);
  engine.sink().applied_lsn = target;
  waiter.join();
}

TEST(JournalSpaceTest, R2ATransactionIsStableOnlyBelowThePersistedTailAndTheMirrors) {
  Engine engine;
  engine.sink().applied_lsn = 0;
  std::vector<TxId> stable;
  engine.transactions().OnStable([&](TxId id) { stable.push_back(id); });
  const TxId first = engine.Store(engine.InodeBlock(1), 0, 1);
  ASSERT_TRUE(engine.transactions().CommitAll());
  const Lsn end = engine.CommitWord();
  engine.sink().applied_lsn = end;  // applied there, not here
  engine.Store(engine.InodeBlock(1), 0, 2);
  ASSERT_TRUE(engine.transactions().CommitAll());
  EXPECT_TRUE(stable.empty());
  ASSERT_TRUE(engine.transactions().Checkpoint(false));
  EXPECT_EQ(stable, std::vector<TxId>{first});
  engine.sink().applied_lsn = engine.CommitWord();
  ASSERT_TRUE(engine.transactions().CommitAll());
  EXPECT_EQ(stable.back(), engine.transactions().stats().committed);
}

}  // namespace
}  // namespace mirdax
