// SPDX-License-Identifier: BSD-2-Clause
// Full copies: at a mount and while it goes on, whole and broken off (R2, R6, R7).
#include "replicator/epochs.h"
#include "tests/unit/replicator/set_fixture.h"

namespace mirdax {
namespace {

class Fill : public test::SetFixture {
 protected:
  // Inodes 16 to 31: a block of the inode table that is copied when one of them is in use, and
  // sent as zeros when none is.
  void StoreInodes(bool in_use) {
    Region& region = primary_.copy.region();
    const Geometry& geometry = primary_.copy.geometry();
    const std::byte bits{static_cast<uint8_t>(in_use ? 0xff : 0)};
    region.Write(geometry.inode_bitmap.offset + 2, {&bits, 1});
    region.Stream(geometry.inode_table.offset + kBlockSize,
                  std::vector<std::byte>(kBlockSize, bits));
    region.Flush(geometry.inode_bitmap.offset, kLineSize);
    MIRDAX_CHECK(region.Drain().has_value());
  }
  static bool StoredOrFlushed(const std::vector<RegionEvent>& log, const PoolRange& range) {
    return std::any_of(log.begin(), log.end(), [&](const RegionEvent& event) {
      return event.kind != RegionEvent::Kind::kDrain && event.offset <= range.offset &&
             event.offset + event.length >= range.end();
    });
  }
  void StoreData(std::byte fill) {
    MarkInUse(40);
    primary_.copy.region().Stream(DataOffset(40), std::vector<std::byte>(kBlockSize, fill));
    MIRDAX_CHECK(primary_.copy.region().Drain().has_value());
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, Fill, test::kBothWays, test::WayName);

TEST_P(Fill, AFillThatIsInterruptedLeavesACopyThatSaysSo) {  // R7
  MarkInUse(40);
  for (size_t deliveries = 0; deliveries < 8; ++deliveries) {
    one_->node.set_cut(false);
    ASSERT_TRUE(one_->Restart().has_value());
    one_->node.CutAfter(deliveries);
    EXPECT_FALSE(Connect().has_value());
    EXPECT_EQ(one_->copy.store->Get().state, CopyState::kFilling);
    EXPECT_FALSE(RecoverPool(*one_->copy.pool, *one_->copy.store).has_value());
  }
  one_->node.set_cut(false);
  one_->node.CutAfter(SIZE_MAX);
  ASSERT_TRUE(one_->Restart().has_value());
  EXPECT_TRUE(Connect().has_value());
  EXPECT_EQ(StateOf(0), "in-sync");
}

TEST_P(Fill, AFillAfterAnInterruptedOneInTheSameDaemonEndsInSyncAndEqual) {
  const Geometry& geometry = primary_.copy.geometry();
  size_t interrupted = 0;
  one_->copy.region().StartLog();
  for (size_t deliveries = 0;; ++deliveries) {
    StoreInodes(true);
    ASSERT_TRUE(Connect().has_value());
    StoreInodes(false);
    StoreData(static_cast<std::byte>(deliveries + 1));
    one_->node.CutAfter(deliveries);
    const bool whole = Connect().has_value();
    one_->node.set_cut(false);
    one_->node.CutAfter(SIZE_MAX);
    if (whole) break;
    ++interrupted;
    (void)one_->copy.region().TakeLog();  // from here on
    const Status again = Connect();
    // What reads as zero already may be in flight still: this fill answers for it.
    const PoolRange zeros{geometry.inode_table.offset + kBlockSize, kBlockSize};
    EXPECT_TRUE(StoredOrFlushed(one_->copy.region().TakeLog(), zeros));
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(StateOf(0), "in-sync");
    for (const PoolRange& range :
         {geometry.block_bitmap, geometry.inode_bitmap, geometry.orphan_bitmap,
          geometry.inode_table, PoolRange{DataOffset(40), kBlockSize}})
      ASSERT_EQ(one_->copy.Durable(range.offset, range.length),
                primary_.copy.Durable(range.offset, range.length))
          << "cut after " << deliveries << " deliveries, at " << range.offset;
    EXPECT_TRUE(primary_.Commit(*sink_, 50, std::byte{9}).has_value());
    EXPECT_EQ(one_->copy.commit(), primary_.copy.commit());
  }
  EXPECT_GT(interrupted, 5U);
}

// A mirror that was lost, and comes back while the primary commits.
class Rejoin : public Fill {
 protected:
  static constexpr uint64_t kFirst = 10;

  void SetUp() override {
    for (uint64_t index = kFirst; index < 200; ++index) MarkInUse(index);
    ASSERT_TRUE(Connect().has_value());
    sink_.reset();
    // Between two slices of a fill, when no thread has the gate.
    options_.progress = [this](const std::string& line) {
      if (!between_slices_ || line.find("filled with") != std::string::npos) return;
      ++slices_;
      between_slices_();
    };
    primary_.UnmountClean();
    ASSERT_TRUE(Connect().has_value());
    CommitOne();
    one_->node.set_cut(true);
    CommitOne();
    ASSERT_EQ(StateOf(0), "ejected");
    CommitOne();
    one_->node.set_cut(false);
  }
  void CommitOne() {
    const Status status =
        primary_.Commit(*sink_, kFirst + 2 * commits_, static_cast<std::byte>(commits_ + 1));
    ASSERT_TRUE(status.has_value()) << status.error().message;
    ++commits_;
  }
  void ExpectAllOn(test::SimMirror& mirror) {
    ASSERT_EQ(mirror.copy.commit(), primary_.copy.commit());
    const std::vector<std::byte> data =
        Recovered(mirror, DataOffset(kFirst), 2 * commits_ * kBlockSize);
    for (uint64_t i = 0; i < commits_; ++i) {
      const auto fill = static_cast<std::byte>(i + 1);
      EXPECT_EQ(data[2 * i * kBlockSize], fill) << "data of commit " << i;
      EXPECT_EQ(data[(2 * i + 1) * kBlockSize], fill) << "patch of commit " << i;
    }
  }

  std::function<void()> between_slices_;
  uint64_t slices_ = 0;
  uint64_t commits_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Ways, Rejoin, test::kBothWays, test::WayName);

TEST_P(Rejoin, AMirrorThatWasLostIsFilledWhileTheMountCommitsAndIsInSyncAgain) {
  const EpochId before = CurrentEpoch(primary_.copy.store->Get());
  between_slices_ = [&] {
    CommitOne();
    if (slices_ % 2 == 0) {
      ASSERT_TRUE(one_->mirror->Apply().has_value());
    }
    CommitOne();
  };
  sink_->Rejoin();
  between_slices_ = nullptr;
  EXPECT_GT(slices_, 6U);
  EXPECT_EQ(StateOf(0), "in-sync");
  ExpectAllOn(*one_);
  CommitOne();
  ExpectAllOn(*one_);
  ExpectAllOn(*two_);
  const PrivateBlock block = primary_.copy.store->Get();  // R5
  EXPECT_GT(CurrentEpoch(block).number, before.number);
  EXPECT_EQ(block.members[0].state, MemberState::kInSync);
  EXPECT_EQ(CurrentEpoch(one_->copy.store->Get()), CurrentEpoch(block));
  EXPECT_EQ(CurrentEpoch(two_->copy.store->Get()), CurrentEpoch(block));
}

TEST_P(Rejoin, WhileItIsFilledAMirrorCannotBePromotedAndItsAppliedLsnCounts) {  // R2, R7
  ASSERT_TRUE(two_->mirror->Apply().has_value());
  sink_->Beat();
  const Lsn begin = primary_.copy.commit();
  ASSERT_EQ(sink_->applied(), begin);
  between_slices_ = [&] {
    CommitOne();
    ASSERT_TRUE(two_->mirror->Apply().has_value());
    sink_->Beat();
    EXPECT_EQ(sink_->applied(), begin);  // the other one has applied more
    auto image = one_->copy.region().CrashImage({});
    ASSERT_TRUE(image.has_value());
    auto region = RecorderRegion::Create(image->bytes());
    ASSERT_TRUE(region.has_value());
    const auto store = PrivateStore::Open(**region);
    ASSERT_TRUE(store.has_value());
    EXPECT_EQ((*store)->Get().state, CopyState::kFilling);
  };
  sink_->Rejoin();
  between_slices_ = nullptr;
  EXPECT_EQ(StateOf(0), "in-sync");
  EXPECT_EQ(sink_->applied(), begin);
  ASSERT_TRUE(one_->mirror->Apply().has_value());
  sink_->Beat();
  EXPECT_EQ(sink_->applied(), primary_.copy.commit());
}

TEST_P(Rejoin, AConnectionThatBreaksAnywhereDuringTheFillStopsNoCommit) {
  size_t broken = 0;
  for (size_t deliveries = 0;; ++deliveries) {
    between_slices_ = [&] {
      if (slices_ % 8 == 0) CommitOne();
    };
    one_->node.CutAfter(deliveries);
    sink_->Rejoin();
    between_slices_ = nullptr;
    CommitOne();
    one_->node.set_cut(false);
    one_->node.CutAfter(SIZE_MAX);
    if (StateOf(0) == "in-sync") break;
    ++broken;
    ASSERT_EQ(StateOf(0), "ejected");
    ASSERT_NE(primary_.copy.store->Get().members[0].state, MemberState::kInSync);  // R5
    ASSERT_LT(commits_, 80U);
    if (deliveries % 4 == 0) {
      sink_->Rejoin();
      ASSERT_EQ(StateOf(0), "in-sync");
      ExpectAllOn(*one_);
      one_->node.set_cut(true);
      sink_->Beat();
      one_->node.set_cut(false);
      ASSERT_EQ(StateOf(0), "ejected");
    }
  }
  EXPECT_GT(broken, 8U);
  ExpectAllOn(*one_);
  ExpectAllOn(*two_);
}

TEST_P(Rejoin, AMirrorThatFreezesDuringTheFillHoldsACommitUpForOneTimeoutOnly) {  // R10
  between_slices_ = [&] {
    if (slices_ != 3) return;
    one_->node.set_frozen(true);
    const uint64_t start = clock_.MonotonicNanoseconds();
    CommitOne();
    EXPECT_LE(clock_.MonotonicNanoseconds() - start, 2'200'000'000U);
  };
  sink_->Rejoin();
  between_slices_ = nullptr;
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_EQ(StateOf(1), "in-sync");
  one_->node.set_frozen(false);
  sink_->Rejoin();
  EXPECT_EQ(StateOf(0), "in-sync");
  ExpectAllOn(*one_);
}

TEST_P(Rejoin, ACopyThatIsAttachedAlreadyIsNotTakenOverByItsOtherAddress) {
  sim::SimNode& alias = network_.AddNode("alias:1");
  alias.Serve(*two_->mirror, nullptr);
  alias.set_cut(true);
  options_.mirrors = {"two:2", "alias:1"};
  options_.degraded = true;
  ASSERT_TRUE(Connect().has_value());
  alias.set_cut(false);
  sink_->Rejoin();
  EXPECT_EQ(StateOf(0), "in-sync");
  EXPECT_EQ(StateOf(1), "ejected");
  EXPECT_NE(sink_->mirrors()[1].reason.find("name it once"), std::string::npos);
  CommitOne();
  EXPECT_EQ(two_->copy.commit(), primary_.copy.commit());
}

TEST_P(Rejoin, AFillingMirrorThatAppliesNothingIsDroppedWhenSpaceWaitsForIt) {  // R10
  bool dropped = false;
  between_slices_ = [&] {
    if (dropped) return;
    dropped = true;
    CommitOne();
    EXPECT_LT(sink_->applied(), primary_.copy.commit());
    clock_.Advance(11'000'000'000);
    ASSERT_TRUE(sink_->DropLaggards(primary_.copy.commit(), std::chrono::seconds(11)).has_value());
    ASSERT_TRUE(two_->mirror->Apply().has_value());
    sink_->Beat();
  };
  ASSERT_TRUE(two_->mirror->Apply().has_value());
  sink_->Beat();
  sink_->Rejoin();
  between_slices_ = nullptr;
  EXPECT_TRUE(dropped);
  EXPECT_EQ(StateOf(0), "ejected");
}

TEST_P(Rejoin, APrimaryThatCouldNotCommitHereIsNoModelForAMirror) {  // R7
  between_slices_ = [&] {
    if (slices_ != 3) return;
    CommitOne();
    const Lsn commit = primary_.copy.commit();
    sink_->Post({.data = {}, .from = commit, .to = commit});
    sink_->Abandon();
    EXPECT_FALSE(sink_->Wait().has_value());
  };
  sink_->Rejoin();
  between_slices_ = nullptr;
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_EQ(one_->copy.store->Get().state, CopyState::kFilling);
}

TEST_P(Rejoin, AMirrorThatHasSeenAHigherEpochMeanwhileEndsThisPrimary) {  // R6
  const PrivateBlock block = primary_.copy.store->Get();
  AttachRequest newer{Uuid{block.set_uuid}, Uuid{two_->copy.store->Get().copy_uuid},
                      EpochsOf(block)};
  const uint64_t number = CurrentEpoch(block).number + 1;
  newer.epochs.history.push_back({{number, number}, 0, 0});
  ASSERT_TRUE(one_->mirror->Attach(99, newer, "promoted").has_value());
  sink_->Rejoin();
  EXPECT_FALSE(primary_.Commit(*sink_, 100, std::byte{1}).has_value());
  EXPECT_FALSE(primary_.Commit(*sink_, 102, std::byte{1}).has_value());
}

}  // namespace
}  // namespace mirdax
