// SPDX-License-Identifier: BSD-2-Clause
// What a commit promises: transactions whole or absent, data first, one record for many callers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/unit/core/engine_fixture.h"

namespace mirdax {
namespace {

using test::Engine;
using Kind = RegionEvent::Kind;

// Steps of a history in which transaction n stores n in four places of three blocks (one of them a
// node with a checksum) and refers to data block n, which must then hold n.
class History {
 public:
  explicit History(Engine& engine)
      : engine_(engine), blocks_{engine.InodeBlock(1), engine.InodeBlock(3)} {}

  static BlockNo Node(Engine& engine) { return engine.DataBlock(500); }

  void Step(uint64_t n) {
    // Tests below take crash images inside: a Tx must not be live at a commit.
    const uint64_t data = engine_.DataBlock(n) * kBlockSize;
    const std::vector<uint64_t> bytes(kBlockSize / 8, n);
    engine_.region().Stream(data, std::as_bytes(std::span(bytes)));
    auto tx = engine_.transactions().Begin(3);
    ASSERT_TRUE(tx) << tx.error().message;
    for (const BlockNo block : blocks_) {
      for (const uint64_t offset : {uint64_t{256}, uint64_t{4088}}) {
        auto copy = tx->Modify(block, BlockKind::kInodes, offset, 8);
        ASSERT_TRUE(copy);
        std::memcpy(*copy + offset, &n, sizeof(n));
      }
    }
    const BlockNo number = Node(engine_);
    std::byte* copy = nullptr;
    if (n == 1) {
      copy = tx->Create(number, BlockKind::kNode);
      auto& header = *reinterpret_cast<BlockHeader*>(copy);
      header.magic = kBlockMagic;
      header.self = number;
      header.type = BlockType::kExtentNode;
    } else {
      auto again = tx->Modify(number, BlockKind::kNode, 2048, 8);
      ASSERT_TRUE(again) << again.error().message;
      copy = *again;
    }
    std::memcpy(copy + 2048, &n, sizeof(n));
    tx->AddData({data, kBlockSize});
  }

  // The transaction that `engine` shows. Fails the test when it shows half of one.
  static uint64_t Shown(Engine& engine) {
    const uint64_t n = engine.Load(engine.InodeBlock(1), 256);
    EXPECT_EQ(engine.Load(engine.InodeBlock(1), 4088), n);
    EXPECT_EQ(engine.Load(engine.InodeBlock(3), 256), n);
    EXPECT_EQ(engine.Load(engine.InodeBlock(3), 4088), n);
    if (n == 0) return n;
    const auto node = engine.transactions().Read(Node(engine), BlockKind::kNode);
    EXPECT_TRUE(node) << node.error().message;  // checksum
    if (node) {
      EXPECT_EQ(node->As<uint64_t>(2048), n);
    }
    for (uint64_t i = 0; i < kBlockSize; i += 8) {
      EXPECT_EQ(engine.region().As<uint64_t>(engine.DataBlock(n) * kBlockSize + i), n);
    }
    return n;
  }

 private:
  Engine& engine_;
  std::array<BlockNo, 2> blocks_;
};

TEST(CommitTest, APowerCutAtAnyMomentLeavesATransactionWholeOrAbsent) {
  Engine engine;
  History history(engine);
  std::mt19937_64 random(5);
  uint64_t begun = 0;
  uint64_t acknowledged = 0;
  int cuts = 0;
  engine.region().SetHook([&] {
    ++cuts;
    const std::vector<uint64_t> lines = engine.recorder().InFlightLines();
    for (int mode = 0; mode < 4; ++mode) {  // nothing, everything, two random choices
      std::vector<LandedLine> landed;
      for (const uint64_t offset : lines) {
        const auto words = static_cast<uint8_t>(mode == 0 ? 0 : mode == 1 ? 0xff : random());
        if (words != 0) landed.push_back({offset, words});
      }
      const auto image = engine.recorder().CrashImage(landed);
      ASSERT_TRUE(image);
      Engine after(image->bytes());
      const uint64_t shown = History::Shown(after);
      EXPECT_GE(shown, acknowledged);  // what was answered is there
      EXPECT_LE(shown, begun);
    }
  });
  for (uint64_t n = 1; n <= 6; ++n) {
    begun = n;
    history.Step(n);
    ASSERT_TRUE(engine.transactions().CommitAll());
    acknowledged = n;
    if (n == 4) {
      ASSERT_TRUE(engine.transactions().Checkpoint(false));
    }
  }
  EXPECT_GT(cuts, 60);
}

TEST(CommitTest, R1DataAndRecordAreDurableBeforeTheCommitWordIsStored) {
  Engine engine;
  History history(engine);
  const uint64_t data = engine.DataBlock(1) * kBlockSize;
  bool seen = false;
  history.Step(1);
  // The data was streamed by another thread than the one that commits.
  engine.recorder().StartLog();
  std::thread([&] {
    engine.region().SetHook([&] {
      if (seen) return;
      for (const RegionEvent& event : engine.recorder().TakeLog()) {
        if (event.kind != Kind::kDrain) continue;
        // First drain: nothing of data or journal may be in flight from now on.
        seen = true;
        for (const uint64_t line : engine.recorder().InFlightLines()) {
          EXPECT_FALSE(line >= data && line < data + kBlockSize);
          EXPECT_FALSE(line >= engine.geometry().journal.offset &&
                       line < engine.geometry().journal.end());
          EXPECT_NE(line, kCommitLineOffset);
        }
      }
    });
    ASSERT_TRUE(engine.transactions().CommitAll());
  }).join();
  EXPECT_TRUE(seen);
}

TEST(CommitTest, I3HomeIsStoredAfterTheCommitWordIsDurableAndTheTailMovesAfterHome) {
  Engine engine;
  engine.Store(engine.InodeBlock(2), 128, 1);
  engine.recorder().StartLog();
  ASSERT_TRUE(engine.transactions().CommitAll());
  ASSERT_TRUE(engine.transactions().Checkpoint(false));
  const uint64_t home = engine.InodeBlock(2) * kBlockSize + 128;
  std::vector<char> order;
  for (const RegionEvent& event : engine.recorder().TakeLog()) {
    if (event.kind == Kind::kDrain) order.push_back('D');
    if (event.kind == Kind::kStream && event.offset == engine.geometry().journal.offset)
      order.push_back('R');
    if (event.kind == Kind::kStore64 && event.offset == kCommitLineOffset) order.push_back('C');
    if (event.kind == Kind::kFlush && event.offset == kCommitLineOffset) order.push_back('c');
    if (event.kind == Kind::kWrite && event.offset == home) order.push_back('H');
    if (event.kind == Kind::kFlush && event.offset == home) order.push_back('h');
    if ((event.kind == Kind::kWrite || event.kind == Kind::kStream) &&
        event.offset >= kPrivateBlockOffset && event.offset < kCommitLineOffset &&
        (order.empty() || order.back() != 'T')) {
      order.push_back('T');
    }
  }
  EXPECT_EQ(std::string(order.begin(), order.end()), "RDCcDHhDTD");
}

TEST(CommitTest, I2HomeIsUntouchedUntilTheCommitAndReadersSeeTheChangeAtOnce) {
  Engine engine;
  const BlockNo block = engine.InodeBlock(2);
  engine.Store(block, 64, 7);
  EXPECT_EQ(engine.Load(block, 64), 7U);
  EXPECT_EQ(engine.LoadHome(block, 64), 0U);
  const auto pinned = engine.transactions().Read(block, BlockKind::kInodes);
  ASSERT_TRUE(engine.transactions().CommitAll());
  EXPECT_EQ(engine.LoadHome(block, 64), 7U);
  EXPECT_EQ(engine.Load(block, 64), 7U);
  EXPECT_EQ(pinned->As<uint64_t>(64), 7U);  // a view outlives the overlay's copy
}

TEST(CommitTest, OneOperationIsInOneTransaction) {
  Engine engine;
  {
    auto tx = engine.transactions().Begin(2);
    ASSERT_TRUE(tx);
    ASSERT_TRUE(tx->Modify(engine.InodeBlock(1), BlockKind::kInodes, 0, 8));
    std::atomic<bool> committed{false};
    std::thread committer([&] {
      EXPECT_TRUE(engine.transactions().CommitAll());
      committed = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(committed);  // I4: it waits for the operation's second half
    ASSERT_TRUE(tx->Modify(engine.InodeBlock(3), BlockKind::kInodes, 0, 8));
    { const Tx ended = std::move(*tx); }
    committer.join();
  }
  const auto record = ReadRecord(engine.region(), engine.geometry(), 0, engine.CommitWord());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->patches.size(), 2U);
  EXPECT_EQ(record->header.length, engine.CommitWord());
}

TEST(CommitTest, AForgottenBlockIsNotJournalled) {
  Engine engine;
  {
    auto tx = engine.transactions().Begin(1);
    ASSERT_TRUE(tx);
    tx->Create(engine.DataBlock(9), BlockKind::kNode);
    tx->Forget(engine.DataBlock(9));
  }
  ASSERT_TRUE(engine.transactions().CommitAll());
  EXPECT_EQ(engine.CommitWord(), 0U);
}

TEST(CommitTest, ABadNodeIsCorruptWhenReadAndWhenModified) {
  Engine engine;
  const BlockNo block = engine.DataBlock(9);
  const auto refused = [&](BlockNo number) {
    const auto view = engine.transactions().Read(number, BlockKind::kNode);
    auto tx = engine.transactions().Begin(1);
    const auto copy = tx->Modify(number, BlockKind::kNode, 0, 8);
    return !view && view.error().code == ErrorCode::kCorrupt && !copy &&
           copy.error().code == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refused(block));                                     // zeros
  EXPECT_TRUE(refused(0));                                         // the superblock
  EXPECT_TRUE(refused(engine.InodeBlock(0)));                      // not in the data area
  EXPECT_TRUE(refused(engine.geometry().pool_size / kBlockSize));  // behind the end
  EXPECT_TRUE(refused(~uint64_t{0}));                              // far behind it
  EXPECT_TRUE(refused(~uint64_t{0} / kBlockSize + 1));             // 0, when multiplied
}

TEST(CommitTest, AnEmptyCommitDoesNothing) {
  Engine engine;
  engine.recorder().ResetCounts();
  ASSERT_TRUE(engine.transactions().CommitAll());
  const auto counts = engine.recorder().counts();
  EXPECT_EQ(counts.stores + counts.streams + counts.flushes + counts.drains, 0U);
  EXPECT_TRUE(engine.sink().batches.empty());
}

TEST(CommitTest, DataAloneIsPostedWithoutARecordAndTheCommitWordStays) {
  Engine engine;
  const uint64_t at = engine.DataBlock(3) * kBlockSize;
  {
    auto tx = engine.transactions().Begin(0);
    ASSERT_TRUE(tx);
    tx->AddData({at + 100, 30});
    tx->AddData({at + 1000, 1});
    tx->AddData({at + 120, 100});
  }
  engine.recorder().StartLog();
  ASSERT_TRUE(engine.transactions().CommitAll());
  ASSERT_EQ(engine.sink().batches.size(), 1U);
  const auto& batch = engine.sink().batches[0];
  EXPECT_EQ(batch.from, batch.to);
  EXPECT_THAT(batch.data, testing::ElementsAre(PoolRange{at + 64, 192}, PoolRange{at + 960, 64}));
  for (const RegionEvent& event : engine.recorder().TakeLog()) {
    EXPECT_NE(event.kind, Kind::kStore64);
    EXPECT_NE(event.kind, Kind::kStream);
  }
}

TEST(CommitTest, BatchesFollowEachOtherWithoutAGap) {
  Engine engine;
  History history(engine);
  for (uint64_t n = 1; n <= 4; ++n) {
    history.Step(n);
    ASSERT_TRUE(engine.transactions().CommitAll());
  }
  Lsn at = 0;
  for (const auto& batch : engine.sink().batches) {
    EXPECT_EQ(batch.from, at);
    at = batch.to;
    ASSERT_EQ(batch.data.size(), 1U);  // I1: with the record that refers to it
  }
  EXPECT_EQ(at, engine.CommitWord());
}

TEST(CommitTest, ConcurrentCallersShareRecords) {
  Engine engine;
  constexpr uint64_t kThreads = 8;
  constexpr uint64_t kEach = 50;
  engine.sink().on_wait = [] { std::this_thread::sleep_for(std::chrono::microseconds(200)); };
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 1; i <= kEach; ++i) {
        const TxId id = engine.Store(engine.InodeBlock(t / 2), 256 * (t % 2 + 1), i);
        ASSERT_TRUE(engine.transactions().Commit(id));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(engine.transactions().stats().commits, kThreads * kEach / 2);
  EXPECT_EQ(engine.sink().posted_and_not_waited, 0);
  engine.Restart();
  for (uint64_t t = 0; t < kThreads; ++t) {
    EXPECT_EQ(engine.Load(engine.InodeBlock(t / 2), 256 * (t % 2 + 1)), kEach);
  }
}

TEST(CommitTest, CommitReturnsOnlyOnceTheMirrorsAnswered) {
  Engine engine;
  std::atomic<bool> answer{false};
  std::atomic<bool> done{false};
  engine.sink().on_wait = [&] {
    while (!answer) std::this_thread::yield();
  };
  const TxId id = engine.Store(engine.InodeBlock(1), 0, 1);
  std::thread first([&] {
    EXPECT_TRUE(engine.transactions().Commit(id));
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(done);
  EXPECT_LT(engine.transactions().stats().committed, id);
  // R10: operations go on while the leader waits for mirrors.
  engine.Store(engine.InodeBlock(1), 0, 2);
  EXPECT_EQ(engine.Load(engine.InodeBlock(1), 0), 2U);
  answer = true;
  first.join();
}

// --- failures ---

TEST(CommitTest, AnAbortedTransactionIsNeverCommittedAndReadsGoOn) {
  Engine engine;
  {
    auto tx = engine.transactions().Begin(1);
    ASSERT_TRUE(tx);
    ASSERT_TRUE(tx->Modify(engine.InodeBlock(1), BlockKind::kInodes, 0, 8));
    tx->Abort({ErrorCode::kCorrupt, "half done"});
  }
  const Status committed = engine.transactions().CommitAll();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::kShutdown);
  EXPECT_THAT(committed.error().message, testing::HasSubstr("half done"));
  EXPECT_FALSE(engine.transactions().Begin(1));
  EXPECT_FALSE(engine.transactions().Checkpoint(false));
  EXPECT_TRUE(engine.transactions().Read(engine.InodeBlock(1), BlockKind::kInodes));
  EXPECT_TRUE(engine.transactions().shut_down());
  EXPECT_EQ(engine.CommitWord(), 0U);
  EXPECT_TRUE(engine.sink().batches.empty());
}

TEST(CommitTest, AFailedDrainStopsTheFilesystemAndHomeIsNotStored) {
  for (const uint64_t drain : {uint64_t{1}, uint64_t{2}}) {  // data and record; commit word
    Engine engine;
    const BlockNo block = engine.InodeBlock(1);
    engine.Store(block, 0, 1);
    engine.recorder().FailDrain(drain, false);
    for (int again = 0; again < 3; ++again) {  // a failed sync stays failed
      const Status committed = engine.transactions().CommitAll();
      ASSERT_FALSE(committed);
      EXPECT_EQ(committed.error().code, ErrorCode::kShutdown);
    }
    EXPECT_EQ(engine.LoadHome(block, 0), 0U);
    EXPECT_EQ(engine.Load(block, 0), 1U);
    EXPECT_EQ(engine.sink().posted_and_not_waited, 0);
    EXPECT_EQ(engine.CommitWord() != 0, drain == 2);
  }
}

TEST(CommitTest, AStalePrimaryAcknowledgesNothingMore) {
  Engine engine;
  const TxId id = engine.Store(engine.InodeBlock(1), 0, 1);
  engine.sink().fail_with = ErrorCode::kStale;
  EXPECT_FALSE(engine.transactions().Commit(id));
  engine.sink().fail_with.reset();
  EXPECT_FALSE(engine.transactions().Commit(id));
  EXPECT_FALSE(engine.transactions().Begin(1));
}

TEST(CommitTest, AFailureAnswersEveryWaiter) {
  Engine engine;
  std::atomic<bool> go{false};
  engine.sink().on_wait = [&] {
    while (!go) std::this_thread::yield();
  };
  engine.sink().fail_with = ErrorCode::kIo;
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const TxId id = engine.Store(engine.InodeBlock(static_cast<uint64_t>(t)), 0, 1);
      if (!engine.transactions().Commit(id)) ++failed;
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  go = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 4);
}

TEST(CommitTest, AFailedCheckpointMayBeTriedAgain) {
  Engine engine;
  const BlockNo block = engine.InodeBlock(1);
  engine.Store(block, 0, 1);
  ASSERT_TRUE(engine.transactions().CommitAll());
  engine.recorder().FailDrain(1, false);
  EXPECT_FALSE(engine.transactions().Checkpoint(false));
  EXPECT_EQ(engine.private_store().Get().tail, 0U);
  EXPECT_TRUE(engine.transactions().Checkpoint(false));
  EXPECT_EQ(engine.private_store().Get().tail, engine.CommitWord());
  EXPECT_EQ(engine.transactions().stats().tail, engine.CommitWord());
  const auto image = engine.recorder().CrashImage({});
  ASSERT_TRUE(image);
  EXPECT_EQ(image->bytes()[block * kBlockSize], std::byte{1});
}

TEST(CommitTest, AJournalThatWasNotReplayedIsRefused) {
  Engine engine;
  engine.Store(engine.InodeBlock(1), 0, 1);
  ASSERT_TRUE(engine.transactions().CommitAll());
  NoReplication none;
  EXPECT_FALSE(
      TransactionManager::Start(engine.region(), engine.geometry(), engine.private_store(), none));
}

// --- what it costs: a change here is a change of speed ---

struct Cost {
  uint64_t stores, streams, flushes, drains;
  bool operator==(const Cost&) const = default;
};
void PrintTo(const Cost& cost, std::ostream* out) {
  *out << cost.stores << " stores, " << cost.streams << " streams, " << cost.flushes << " flushes, "
       << cost.drains << " drains";
}

Cost CostOfCommit(Engine& engine) {
  engine.recorder().ResetCounts();
  EXPECT_TRUE(engine.transactions().CommitAll());
  const auto counts = engine.recorder().counts();
  return {counts.stores, counts.streams, counts.flushes, counts.drains};
}

TEST(CommitCostTest, GoldenCountsOfFlushesAndFences) {
  Engine engine;
  EXPECT_EQ(CostOfCommit(engine), (Cost{0, 0, 0, 0})) << "nothing";

  engine.Store(engine.InodeBlock(1), 256, 1);
  // Stores: commit word, home. Streams: the record's front, its bytes. Flush: the commit line.
  EXPECT_EQ(CostOfCommit(engine), (Cost{2, 2, 1, 2})) << "one inode";

  const std::vector<std::byte> page(kBlockSize);
  const auto overwrite = [&](bool with_inode) {
    engine.region().Stream(engine.DataBlock(1) * kBlockSize, page);
    auto tx = engine.transactions().Begin(1);
    tx->AddData({engine.DataBlock(1) * kBlockSize, kBlockSize});
    if (with_inode) {
      ASSERT_TRUE(tx->Modify(engine.InodeBlock(1), BlockKind::kInodes, 256, 128));
    }
  };
  overwrite(false);
  EXPECT_EQ(CostOfCommit(engine), (Cost{0, 0, 1, 1})) << "4 KiB overwritten";
  overwrite(true);
  EXPECT_EQ(CostOfCommit(engine), (Cost{2, 2, 2, 2})) << "4 KiB overwritten, and the inode";

  engine.recorder().ResetCounts();
  ASSERT_TRUE(engine.transactions().Checkpoint(false));
  EXPECT_EQ(engine.recorder().counts().drains, 2U) << "checkpoint: home, tail";
}

}  // namespace
}  // namespace mirdax
