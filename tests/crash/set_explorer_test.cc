// SPDX-License-Identifier: BSD-2-Clause
// The machinery of mirrors: it accepts what is right, and finds what is broken.
#include "tests/crash/set_explorer.h"

#include <gmock/gmock.h>

#include "fs/pmem/private_store.h"
#include "replicator/epochs.h"
#include "tests/crash/generator.h"
#include "tests/crash/observation.h"
#include "tests/crash/orders.h"
#include "tests/crash/repeat.h"
#include "tests/crash/set_cuts.h"

namespace mirdax::crash {
namespace {

using testing::HasSubstr;

class SetTest : public testing::Test {
 protected:
  explicit SetTest(size_t mirrors) {
    auto set = MirroredPool::Build(*FindShape("plain"), mirrors);
    MIRDAX_CHECK(set.has_value());
    set_ = std::move(*set);
  }
  std::string Explore(const Workload& workload, Scenario scenario, ExploreOptions options = {}) {
    SetExplorer explorer(*set_, scenario, distinct_, stats_, {});
    failure_ = explorer.Explore(workload, options);
    return failure_ ? failure_->reason : "no violation";
  }

  uint64_t mirrors() const { return distinct_.count(DistinctImages::Of::kMirrors); }
  uint64_t primaries() const { return distinct_.count(DistinctImages::Of::kPrimaries); }

  std::unique_ptr<MirroredPool> set_;
  DistinctImages distinct_;
  ExploreStats stats_;
  std::optional<Failure> failure_;
};

class SetExplorerTest : public SetTest, public testing::WithParamInterface<Scenario> {
 protected:
  SetExplorerTest() : SetTest(MirrorsOf(GetParam())) {}
};

TEST_P(SetExplorerTest, ACorrectRunHasNoViolation) {
  EXPECT_EQ(
      Explore(Lines("write A/f 0 100 1\nfsync A/f\nrename A/f B/g\nfsyncdir B\n"), GetParam()),
      "no violation");
  EXPECT_GT(primaries(), 30U);
  if (GetParam() != Scenario::kFenced) {
    EXPECT_GT(mirrors(), 30U);
    EXPECT_GT(stats_.set_cuts, 0U);
  }
}

TEST_P(SetExplorerTest, WhatARunStoresIsTakenBack) {
  const auto hashes = [&] {
    std::vector<uint64_t> all{set_->primary().region().Hash()};
    for (const auto& mirror : set_->mirrors()) all.push_back(mirror->Hash());
    return all;
  };
  const std::vector<uint64_t> before = hashes();
  Explore(Lines("create A/n 0600\ntick\nappend f 5000 1\nfsync f\n"), GetParam());
  EXPECT_EQ(hashes(), before);
}

TEST_P(SetExplorerTest, ARunTwiceGivesTheSameImages) {
  const Workload workload = Lines("append f 5000 1\nfsync f\nunlink B/g\nsyncall\n");
  Explore(workload, GetParam());
  const uint64_t of_mirrors = mirrors();
  const uint64_t of_primaries = primaries();
  Explore(workload, GetParam());
  EXPECT_EQ(mirrors(), of_mirrors);
  EXPECT_EQ(primaries(), of_primaries);
}

TEST_P(SetExplorerTest, PowerCutsOfAllCopiesAtEveryPointHaveNoViolation) {
  ExploreOptions options;
  options.set_every = 1;
  options.copy = kAllCopies;
  EXPECT_EQ(
      Explore(Lines("write A/f 0 100 1\nfsync A/f\nunlink f\nsyncall\n"), GetParam(), options),
      "no violation");
  EXPECT_EQ(stats_.points, 0U) << "no copy alone";
}

INSTANTIATE_TEST_SUITE_P(Scenarios, SetExplorerTest, testing::ValuesIn(kScenarios),
                         [](const testing::TestParamInfo<Scenario>& scenario) {
                           return std::string(NameOf(scenario.param));
                         });

// One mirror, whose log is changed after the run.
class MirrorImages : public SetTest {
 protected:
  MirrorImages() : SetTest(1) {}

  SetRecording Run(const Workload& workload, Scenario scenario = Scenario::kSteady) {
    auto recording = RecordSet(*set_, workload, scenario, 1);
    MIRDAX_CHECK(recording.has_value());
    return std::move(*recording);
  }
  std::string Judge(const SetRecording& recording, ExploreOptions options = {}) {
    const Takeover takeover(recording.epochs);
    Explorer explorer(set_->primary(), distinct_, stats_, {});
    const auto failure = explorer.ExploreMirror(recording.workload, recording.mirrors.front(),
                                                options, *set_->mirrors().front(), takeover);
    return failure ? failure->reason : "no violation";
  }
};

// One that has applied nothing yet: else its tail would be ahead of its commit word.
TEST_F(MirrorImages, AForgottenFlushOfTheCommitWordIsFound) {
  SetRecording recording = Run(Lines("create A/n 0600\nfsyncdir A\n"), Scenario::kLazy);
  for (RegionEvent& event : recording.mirrors.front().log) {
    if (event.kind == RegionEvent::Kind::kFlush && event.offset == kCommitLineOffset)
      event.length = 0;
  }
  EXPECT_THAT(Judge(recording), HasSubstr("/A/n is missing"));
}

TEST_F(MirrorImages, AForgottenFlushOfPushedBytesIsFound) {
  SetRecording recording = Run(Lines("write A/f 0 4096 1\nfsync A/f\n"));
  for (RegionEvent& event : recording.mirrors.front().log) {
    if (event.length != 4096) continue;
    if (event.kind == RegionEvent::Kind::kStream) event.kind = RegionEvent::Kind::kWrite;
    if (event.kind == RegionEvent::Kind::kFlush) event.length = 0;
  }
  EXPECT_THAT(Judge(recording), HasSubstr("/A/f: the bytes at"));
}

TEST_F(MirrorImages, APrimaryInAnEpochOfAnotherIsFound) {
  SetRecording recording = Run(Lines("create A/n 0600\nfsyncdir A\n"));
  EXPECT_EQ(Judge(recording), "no violation");
  // As if the primary had been in the epoch that the promotion begins.
  set_->mirrors().front()->Begin();
  const Takeover takeover(recording.epochs);
  ASSERT_TRUE(takeover.Run(*set_->mirrors().front(), {}).value_or(false));
  const auto store = PrivateStore::Open(*set_->mirrors().front());
  recording.epochs.push_back(CurrentEpoch((*store)->Get()));
  set_->mirrors().front()->Undo();
  EXPECT_THAT(Judge(recording), HasSubstr("which is another's"));
}

TEST_F(MirrorImages, ACopyThatIsNotConsistentIsRefusedOnlyWhereItMayBe) {
  ImageRegion& mirror = *set_->mirrors().front();
  mirror.Begin();
  ASSERT_TRUE((*PrivateStore::Open(mirror))->Update([](PrivateBlock& block) {
    block.state = CopyState::kFilling;
  }));
  const Takeover takeover({});
  const Result<bool> refused = takeover.Run(mirror, {.may_refuse = true});
  ASSERT_TRUE(refused);
  EXPECT_FALSE(*refused);
  EXPECT_FALSE(takeover.Run(mirror, {}));
  mirror.Undo();
}

TEST_F(MirrorImages, ACopyThatIsRefusedIsNoImageThatWasChecked) {
  const SetRecording recording = Run(Lines("tick\n"));
  ImageRegion& mirror = *set_->mirrors().front();
  mirror.Begin();
  ASSERT_TRUE((*PrivateStore::Open(mirror))->Update([](PrivateBlock& block) {
    block.state = CopyState::kFilling;
  }));
  const Takeover takeover({});
  const std::vector<CrashPoint> points = {{.moment = {}, .may_refuse = true}};
  Explorer explorer(set_->primary(), distinct_, stats_, {});
  EXPECT_FALSE(explorer.ExploreCopy(recording.workload, {mirror, {}, points, &takeover},
                                    Oracle(recording.primary.history), {}));
  EXPECT_EQ(stats_.check.refused, 1U);
  EXPECT_EQ(mirrors(), 0U);
  mirror.Undo();
}

TEST_F(MirrorImages, AWriteIsInFlightFromTheMomentItIsPosted) {
  // Nothing travels in messages with one of these.
  bool seen = false;
  for (int tag = 1; tag < 20 && !seen; ++tag) {
    const SetRecording recording = Run(Lines(fmt::format("write A/f 0 4096 {}\nfsync A/f\n", tag)));
    const Recording& mirror = recording.mirrors.front();
    if (mirror.posts.size() < 2) continue;
    const RegionEvent& first = mirror.log[mirror.posts.front() - 1];
    seen = first.kind == RegionEvent::Kind::kWrite && mirror.posts[0] != mirror.posts[1];
  }
  EXPECT_TRUE(seen);
}

TEST_F(MirrorImages, TheDaemonServesSomeImagesBeforeTheyArePromoted) {
  // Records that are not applied yet: the two ways differ, and give the same filesystem.
  const SetRecording recording = Run(Lines("create A/n 0600\nfsyncdir A\nunlink f\nsyncall\n"));
  ExploreOptions options;
  options.serve_every = 1;
  EXPECT_EQ(Judge(recording, options), "no violation");
  options.serve_every = 0;
  EXPECT_EQ(Judge(recording, options), "no violation");
}

// One mirror, and its primary, whose logs are changed after the run.
class SetImages : public MirrorImages {
 protected:
  std::string JudgeCuts(const SetRecording& recording, const ExploreOptions& options) {
    const Takeover takeover(recording.epochs);
    const Recording& mirror = recording.mirrors.front();
    const std::vector<CrashPoint> primary_points = recording.primary.Points();
    const std::vector<CrashPoint> mirror_points = mirror.Points();
    const std::vector<CopyLog> copies = {
        {set_->primary().region(), recording.primary.log, primary_points},
        {*set_->mirrors().front(), mirror.log, mirror_points, &takeover}};
    const Explorer::OnFailure ignored;
    failure_ = SetCuts(*set_, stats_, ignored)
                   .Explore(recording.workload, copies, Oracle(recording.primary.history), takeover,
                            options);
    return failure_ ? failure_->reason : "no violation";
  }
  static ExploreOptions EveryPoint() {
    ExploreOptions options;
    options.set_every = 1;
    return options;
  }
};

TEST_F(SetImages, AForgottenFlushOfThePrimarysCommitWordIsFound) {
  SetRecording recording = Run(Lines("create A/n 0600\nfsyncdir A\n"));
  for (RegionEvent& event : recording.primary.log) {
    if (event.kind == RegionEvent::Kind::kFlush && event.offset == kCommitLineOffset)
      event.length = 0;
  }
  Explorer explorer(set_->primary(), distinct_, stats_, {});
  const auto failure = explorer.ExploreRecording(recording.workload, recording.primary, {});
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->reason, HasSubstr("/A/n is missing"));
}

TEST_F(SetImages, AListedMirrorThatLacksWhatWasAcknowledgedIsFound) {
  SetRecording recording = Run(Lines("create A/n 0600\nfsyncdir A\n"), Scenario::kLazy);
  EXPECT_EQ(JudgeCuts(recording, EveryPoint()), "no violation");
  for (RegionEvent& event : recording.mirrors.front().log) {
    if (event.kind == RegionEvent::Kind::kFlush && event.offset == kCommitLineOffset)
      event.length = 0;
  }
  const std::string reason = JudgeCuts(recording, EveryPoint());
  EXPECT_THAT(reason, HasSubstr("mirror 0, which the primary lists in sync, promoted"));
  EXPECT_THAT(reason, HasSubstr("/A/n is missing"));
  // Again, and nothing else.
  const Failure found = *failure_;
  const uint64_t cuts = stats_.set_cuts;
  EXPECT_EQ(JudgeCuts(recording, RepeatOptions(EveryPoint(), found)), reason);
  EXPECT_EQ(failure_->point, found.point);
  EXPECT_EQ(stats_.set_cuts, cuts + 1);
}

TEST_F(SetImages, AMirrorInAnEpochThatItsPrimaryLostIsFound) {
  SetRecording recording = Run(Lines("create A/n 0600\nfsyncdir A\n"));
  ImageRegion& mirror = *set_->mirrors().front();
  mirror.Begin();
  ASSERT_TRUE((*PrivateStore::Open(mirror))->Update([](PrivateBlock& block) {
    BeginEpoch(block, 12345, 0, 0);
  }));
  recording.mirrors.front().log.clear();
  recording.mirrors.front().spans.clear();
  recording.mirrors.front().posts.clear();
  EXPECT_THAT(JudgeCuts(recording, EveryPoint()), HasSubstr("is on the list of epoch"));
  mirror.Undo();
}

TEST_F(SetImages, WhatTwoCopiesShowIsComparedInFull) {
  Observation shown;
  {
    set_->primary().region().Begin();
    State state;
    const auto mounted = set_->primary().Mount(&state);
    ASSERT_TRUE(mounted);
    shown = Observe((*mounted)->volume()).value_or(Observation{});
    set_->primary().region().Undo();
  }
  ASSERT_FALSE(shown.nodes.empty());
  EXPECT_EQ(Differs(shown, shown), std::nullopt);
  for (auto& [ino, node] : shown.nodes) {
    Observation other = shown;
    other.nodes[ino].attributes.mode ^= 1;
    EXPECT_THAT(Differs(shown, other).value_or(""), HasSubstr("other attributes"));
    other = shown;
    other.nodes[ino].bytes += "x";
    EXPECT_THAT(Differs(shown, other).value_or(""), HasSubstr("other bytes"));
    other = shown;
    other.nodes[ino].xattrs["user.x"] = "x";
    EXPECT_THAT(Differs(shown, other).value_or(""), HasSubstr("other names"));
  }
}

// One mirror, and two clients at once.
class MirrorImagesOfClients : public SetTest {
 protected:
  MirrorImagesOfClients() : SetTest(1) {}
};

constexpr const char* kTwoSyncs =
    "schedule 3\n"
    "open A/f @a\nopen B/g @b\n"
    "1: write @a 0 5000 1\n1: fsync @a\n"
    "2: append @b 6000 2\n2: fsync @b\n";

TEST_F(MirrorImagesOfClients, ACorrectRunHasNoViolation) {
  for (const Scenario scenario : {Scenario::kSteady, Scenario::kLazy})
    EXPECT_EQ(Explore(Lines(kTwoSyncs), scenario), "no violation");
  EXPECT_GT(mirrors(), 100U);
}

TEST_F(MirrorImagesOfClients, ThePrimaryAndTheWholeSetAreExploredToo) {
  ExploreOptions options;
  options.set_every = 1;
  EXPECT_EQ(Explore(Lines(kTwoSyncs), Scenario::kSteady, options), "no violation");
  EXPECT_GT(primaries(), 100U);
  EXPECT_GT(stats_.set_cuts, 10U);
}

TEST_F(MirrorImagesOfClients, TheSameScheduleGivesTheSameImages) {
  Explore(Lines(kTwoSyncs), Scenario::kSteady);
  const uint64_t count = mirrors();
  Explore(Lines(kTwoSyncs), Scenario::kSteady);
  EXPECT_EQ(mirrors(), count);
  EXPECT_EQ(distinct_.interleavings(), 1U);
}

TEST_F(MirrorImagesOfClients, AForgottenFlushOfTheCommitWordIsFound) {
  const Workload workload = Lines(kTwoSyncs);
  auto run = RecordClients(*set_, workload, ReplicasOf(workload, Scenario::kSteady, 1));
  ASSERT_TRUE(run);
  for (RegionEvent& event : run->mirrors.front().log) {
    if (event.kind == RegionEvent::Kind::kFlush && event.offset == kCommitLineOffset)
      event.length = 0;
  }
  Explorer explorer(set_->primary(), distinct_, stats_, {});
  Orders orders(*run);
  ASSERT_TRUE(explorer.Explain(workload, *run, orders));
  const Takeover takeover(run->epochs);
  const InterleavedRun::Mirror& mirror = run->mirrors.front();
  const auto failure = explorer.ExploreCopy(
      workload, {*set_->mirrors().front(), mirror.log, mirror.points, &takeover}, orders, {});
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->reason, HasSubstr("in none of"));
}

}  // namespace
}  // namespace mirdax::crash
