// SPDX-License-Identifier: BSD-2-Clause
// A whole set over the simulated transport: a primary that commits by hand, and two mirrors.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/replicator/set_fixture.h"

namespace mirdax {
namespace {

using test::SimMirror;
using test::TestPrimary;
using Set = test::SetFixture;

INSTANTIATE_TEST_SUITE_P(Ways, Set, test::kBothWays, test::WayName);

TEST_P(Set, BlankMirrorsAreFilledAndThenInSyncOnEveryCopysRecord) {
  MarkInUse(40);
  primary_.copy.region().Stream(DataOffset(40), std::vector<std::byte>(kBlockSize, std::byte{9}));
  ASSERT_TRUE(primary_.copy.region().Drain().has_value());
  const Status status = Connect();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  for (size_t i = 0; i < 2; ++i) {
    SimMirror& mirror = i == 0 ? *one_ : *two_;
    EXPECT_EQ(StateOf(i), "in-sync");
    const PrivateBlock block = mirror.copy.store->Get();
    EXPECT_EQ(block.state, CopyState::kConsistent);
    EXPECT_EQ(block.role, Role::kMirror);
    EXPECT_EQ(CurrentEpoch(block), CurrentEpoch(primary_.copy.store->Get()));
    EXPECT_EQ(mirror.copy.Durable(DataOffset(40), kBlockSize),
              std::vector<std::byte>(kBlockSize, std::byte{9}));
    const Geometry& geometry = primary_.copy.geometry();
    for (const PoolRange& range : {geometry.block_bitmap, geometry.inode_bitmap,
                                   geometry.orphan_bitmap, geometry.inode_table})
      EXPECT_EQ(mirror.copy.Durable(range.offset, range.length),
                primary_.copy.Durable(range.offset, range.length));
  }
  const auto& members = primary_.copy.store->Get().members;
  EXPECT_EQ(std::count_if(members.begin(), members.end(),
                          [](const Member& m) { return m.state == MemberState::kInSync; }),
            2);
}

TEST_P(Set, AnAcknowledgedBatchSurvivesAPowerCutOnEveryMirror) {
  ASSERT_TRUE(Connect().has_value());
  for (uint64_t i = 0; i < 20; ++i) {
    const auto fill = static_cast<std::byte>(i + 1);
    ASSERT_TRUE(primary_.Commit(*sink_, 10 + 2 * i, fill).has_value());
    for (SimMirror* mirror : {one_.get(), two_.get()}) {
      EXPECT_EQ(mirror->copy.commit(), primary_.copy.commit());
      EXPECT_EQ(Recovered(*mirror, DataOffset(10 + 2 * i), kBlockSize),
                std::vector<std::byte>(kBlockSize, fill));
      EXPECT_EQ(Recovered(*mirror, DataOffset(11 + 2 * i), kLineSize),
                std::vector<std::byte>(kLineSize, fill));
    }
  }
}

TEST_P(Set, DataAndRecordAreDurableOnAMirrorBeforeItsCommitWordMoves) {  // R1
  ASSERT_TRUE(Connect().has_value());
  one_->copy.region().StartLog();
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  bool drained = false;
  bool published = false;
  for (const RegionEvent& event : one_->copy.region().TakeLog()) {
    if (event.kind == RegionEvent::Kind::kStore64 && event.offset == kCommitLineOffset) {
      EXPECT_TRUE(drained);
      published = true;
    } else if (event.kind == RegionEvent::Kind::kDrain) {
      drained = true;
    } else if (event.kind != RegionEvent::Kind::kFlush || event.offset != kCommitLineOffset) {
      EXPECT_FALSE(published) << "touched " << event.offset << " after the commit word";
      drained = false;
    }
  }
  EXPECT_TRUE(published && drained);
}

TEST_P(Set, ACutAtAnyPointOfABatchLeavesTheOldOrTheNewState) {  // R1, R3
  for (size_t deliveries = 0; deliveries < 8; ++deliveries) {
    sim::SimNetwork network(clock_, random_, {deliveries + 1, GetParam(), 10'000});
    TestPrimary primary;
    SimMirror mirror(network, "one:1", clock_, random_, 11);
    options_.mirrors = {"one:1"};
    auto sink = PrimaryReplication::Connect(*primary.copy.pool, *primary.copy.store, options_,
                                            clock_, random_, network.MakeDialer());
    ASSERT_TRUE(sink.has_value());
    ASSERT_TRUE(primary.Commit(**sink, 10, std::byte{1}).has_value());
    const Lsn before = mirror.copy.commit();
    mirror.node.CutAfter(deliveries);
    EXPECT_TRUE(primary.Commit(**sink, 12, std::byte{2}).has_value());
    const Lsn after = mirror.copy.commit();
    EXPECT_TRUE(after == before || after == primary.copy.commit());
    EXPECT_EQ(Recovered(mirror, DataOffset(11), kLineSize),
              std::vector<std::byte>(kLineSize, std::byte{1}));
    if (after != before) {
      EXPECT_EQ(Recovered(mirror, DataOffset(12), kBlockSize),
                std::vector<std::byte>(kBlockSize, std::byte{2}));
    }
  }
}

TEST_P(Set, MetadataOfAMirrorChangesOnlyByItsOwnReplay) {  // R3, R4
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  EXPECT_EQ(one_->copy.Durable(DataOffset(11), kLineSize),
            std::vector<std::byte>(kLineSize, std::byte{0}));
  sink_->RequestApply(primary_.copy.commit());
  EXPECT_LT(sink_->applied(), primary_.copy.commit());
  ASSERT_TRUE(one_->mirror->Apply().has_value());
  EXPECT_EQ(one_->copy.Durable(DataOffset(11), kLineSize),
            std::vector<std::byte>(kLineSize, std::byte{1}));
  EXPECT_EQ(one_->copy.store->Get().tail, primary_.copy.commit());
  sink_->Beat();
  EXPECT_LT(sink_->applied(), primary_.copy.commit());  // the other one has not yet (R2)
  ASSERT_TRUE(two_->mirror->Apply().has_value());
  sink_->Beat();
  EXPECT_EQ(sink_->applied(), primary_.copy.commit());
}

TEST_P(Set, AFrozenMirrorStallsOneSyncForItsTimeoutAndIsOffTheListFirst) {  // R5
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  const EpochId before = CurrentEpoch(primary_.copy.store->Get());
  one_->node.set_frozen(true);
  const uint64_t start = clock_.MonotonicNanoseconds();
  EXPECT_TRUE(primary_.Commit(*sink_, 12, std::byte{2}).has_value());
  EXPECT_LE(clock_.MonotonicNanoseconds() - start, 2'200'000'000U);
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_EQ(StateOf(1), "in-sync");
  EXPECT_NE(sink_->mirrors()[0].reason.find("no answer"), std::string::npos);
  const PrivateBlock block = primary_.copy.store->Get();
  EXPECT_GT(CurrentEpoch(block).number, before.number);
  EXPECT_EQ(block.members[0].state, MemberState::kOutOfSync);
  EXPECT_EQ(block.members[1].state, MemberState::kInSync);
  EXPECT_EQ(CurrentEpoch(two_->copy.store->Get()), CurrentEpoch(block));
  EXPECT_EQ(CurrentEpoch(one_->copy.store->Get()), before);
  // It wakes up: nobody talks to it any more, and it is not called in sync again.
  one_->node.set_frozen(false);
  const Lsn stale = one_->copy.commit();
  EXPECT_TRUE(primary_.Commit(*sink_, 14, std::byte{3}).has_value());
  sink_->Beat();
  EXPECT_EQ(one_->copy.commit(), stale);
  EXPECT_EQ(StateOf(0), "ejected");
}

TEST_P(Set, AMirrorThatAnswersAndDoesNotApplyIsTakenOutOnceSpaceHasWaitedForItsTimeout) {  // R10
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  const Lsn lsn = primary_.copy.commit();
  ASSERT_TRUE(two_->mirror->Apply().has_value());
  sink_->Beat();
  const uint64_t patience =
      static_cast<uint64_t>(std::chrono::nanoseconds(options_.apply_patience).count());
  ASSERT_TRUE(sink_->DropLaggards(lsn, options_.apply_patience / 2).has_value());
  EXPECT_EQ(StateOf(0), "in-sync");
  // Space has waited long, but for another mirror: this one has applied something meanwhile.
  clock_.Advance(patience / 2);
  ASSERT_TRUE(sink_->DropLaggards(lsn, options_.apply_patience).has_value());
  EXPECT_EQ(StateOf(0), "in-sync");
  clock_.Advance(patience);
  ASSERT_TRUE(sink_->DropLaggards(lsn, options_.apply_patience).has_value());
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_NE(sink_->mirrors()[0].reason.find("applied"), std::string::npos);
  EXPECT_EQ(StateOf(1), "in-sync");
  EXPECT_EQ(sink_->applied(), lsn);
  const PrivateBlock block = primary_.copy.store->Get();  // R5
  EXPECT_EQ(block.members[0].state, MemberState::kOutOfSync);
  EXPECT_EQ(CurrentEpoch(two_->copy.store->Get()), CurrentEpoch(block));
  EXPECT_TRUE(primary_.Commit(*sink_, 12, std::byte{2}).has_value());
}

TEST_P(Set, AMirrorThatDiesWhileIdleIsNoticedByTheHeartbeat) {
  ASSERT_TRUE(Connect().has_value());
  two_->node.set_cut(true);
  sink_->Beat();
  EXPECT_EQ(StateOf(1), "ejected");
  EXPECT_EQ(primary_.copy.store->Get().members[1].state, MemberState::kOutOfSync);
  EXPECT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
}

TEST_P(Set, WhenAllMirrorsAreLostTheMountGoesOnAlone) {
  ASSERT_TRUE(Connect().has_value());
  one_->node.set_cut(true);
  two_->node.set_cut(true);
  EXPECT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  EXPECT_EQ(sink_->applied(), kNoMirror);
  EXPECT_TRUE(primary_.Commit(*sink_, 12, std::byte{1}).has_value());
}

TEST_P(Set, AMirrorWhosePmFailsIsEjected) {
  ASSERT_TRUE(Connect().has_value());
  one_->copy.region().FailDrain(1, false);
  EXPECT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_FALSE(one_->mirror->Info().error.empty());
}

TEST_P(Set, AListThatCannotBePersistedEndsTheSyncs) {  // R5
  ASSERT_TRUE(Connect().has_value());
  one_->node.set_cut(true);
  primary_.copy.region().FailDrain(3, true);  // data, commit word, then the list
  const Status status = primary_.Commit(*sink_, 10, std::byte{1});
  ASSERT_FALSE(status.has_value());
  primary_.copy.region().FailDrain(0, false);
  EXPECT_FALSE(primary_.Commit(*sink_, 12, std::byte{1}).has_value());
}

TEST_P(Set, AfterACleanUnmountTheMirrorsAreInSyncWithoutAFill) {
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  ASSERT_TRUE(one_->mirror->Apply().has_value());  // an unmount waits for it
  ASSERT_TRUE(two_->mirror->Apply().has_value());
  primary_.UnmountClean();
  sink_->Close();
  const size_t traffic = one_->node.log().size();
  ASSERT_TRUE(Connect().has_value());
  EXPECT_EQ(StateOf(0), "in-sync");
  EXPECT_EQ(StateOf(1), "in-sync");
  EXPECT_EQ(one_->node.log().size(), traffic);
  EXPECT_TRUE(primary_.Commit(*sink_, 12, std::byte{2}).has_value());
}

TEST_P(Set, AMirrorThatHasNotAppliedItsJournalIsNotTakenAsEqualAtAMount) {  // R2
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  ASSERT_TRUE(one_->mirror->Apply().has_value());
  primary_.UnmountClean();
  sink_->Close();
  const size_t traffic = one_->node.log().size();
  const size_t lagging = two_->node.log().size();
  ASSERT_TRUE(Connect().has_value());
  EXPECT_EQ(one_->node.log().size(), traffic);
  EXPECT_GT(two_->node.log().size(), lagging);
  EXPECT_EQ(StateOf(1), "in-sync");
}

TEST_P(Set, AfterACrashTheMirrorsAreFilledAgain) {
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  sink_.reset();
  ASSERT_TRUE(RecoverPool(*primary_.copy.pool, *primary_.copy.store).has_value());
  MarkInUse(11);
  ASSERT_TRUE(Connect().has_value());
  EXPECT_EQ(StateOf(0), "in-sync");
  EXPECT_EQ(one_->copy.store->Get().tail, primary_.copy.commit());
  EXPECT_EQ(one_->copy.Durable(DataOffset(11), kLineSize),
            std::vector<std::byte>(kLineSize, std::byte{1}));
}

TEST_P(Set, AnUnreachableMemberFailsTheMountUnlessDegraded) {
  ASSERT_TRUE(Connect().has_value());
  primary_.UnmountClean();
  sink_->Close();
  one_->node.set_cut(true);
  Status status = Connect();
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("one:1"), std::string::npos);
  options_.mirrors = {"two:2"};  // to leave it out does not help
  status = Connect();
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("degraded"), std::string::npos);
  options_.mirrors = {"one:1", "two:2"};
  options_.degraded = true;
  ASSERT_TRUE(Connect().has_value());
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_EQ(StateOf(1), "in-sync");
  EXPECT_EQ(primary_.copy.store->Get().members[0].state, MemberState::kOutOfSync);
}

TEST_P(Set, AMirrorFormattedAnewTakesTheRowOfTheCopyThatWasAtItsAddress) {
  options_.mirrors = {"one:1"};
  ASSERT_TRUE(Connect().has_value());
  primary_.UnmountClean();
  sink_.reset();
  const Uuid old{primary_.copy.store->Get().members[0].copy_uuid};
  one_->node.StopServing();
  one_ = std::make_unique<SimMirror>(network_, "one:1", clock_, random_, 13);
  options_.degraded = true;
  ASSERT_TRUE(Connect().has_value());
  EXPECT_EQ(StateOf(0), "in-sync");
  const auto& members = primary_.copy.store->Get().members;
  EXPECT_EQ(std::count_if(members.begin(), members.end(),
                          [](const Member& m) { return m.state != MemberState::kNone; }),
            1);
  EXPECT_EQ(members[0].state, MemberState::kInSync);
  EXPECT_NE(Uuid{members[0].copy_uuid}, old);
}

TEST_P(Set, AMirrorOfAnotherSetOrATooSmallOneIsRefusedUntouched) {
  ASSERT_TRUE(Connect().has_value());
  const std::vector<std::byte> bytes = one_->copy.Durable(0, test::kTestPoolSize);
  sink_->Close();
  TestPrimary other(77);
  options_.mirrors = {"one:1"};
  Status status = ConnectFrom(other);
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("belongs to set"), std::string::npos);
  EXPECT_EQ(one_->copy.Durable(0, test::kTestPoolSize), bytes);

  SimMirror small(network_, "small:1", clock_, random_, 5, kMinPoolSize);
  const std::vector<std::byte> small_bytes = small.copy.Durable(0, kMinPoolSize);
  options_.mirrors = {"small:1"};
  status = ConnectFrom(other);
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("larger pool"), std::string::npos);
  EXPECT_EQ(small.copy.Durable(0, kMinPoolSize), small_bytes);
}

TEST_P(Set, TheSameCopyNamedTwiceIsRefused) {
  options_.mirrors = {"one:1", "one:1"};
  EXPECT_FALSE(Connect().has_value());
}

TEST_P(Set, ACorruptRecordStopsTheMirrorWhichSaysSoAndIsEjected) {
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  const Geometry& geometry = primary_.copy.geometry();
  one_->copy.region().memory()[geometry.journal.offset + 70] ^= std::byte{1};
  EXPECT_FALSE(one_->mirror->Apply().has_value());
  EXPECT_NE(one_->mirror->StatusDocument("direct").find("\"shut_down\":true"), std::string::npos);
  EXPECT_TRUE(primary_.Commit(*sink_, 12, std::byte{2}).has_value());
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_EQ(StateOf(1), "in-sync");
}

}  // namespace
}  // namespace mirdax
