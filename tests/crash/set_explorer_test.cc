// SPDX-License-Identifier: BSD-2-Clause
// The machinery of mirrors: it accepts what is right, and finds what is broken.
#include "tests/crash/set_explorer.h"

#include <gmock/gmock.h>

#include "replicator/epochs.h"
#include "tests/crash/generator.h"

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
  if (GetParam() != Scenario::kFenced) {
    EXPECT_GT(distinct_.count(), 30U);
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
  const uint64_t count = distinct_.count();
  Explore(workload, GetParam());
  EXPECT_EQ(distinct_.count(), count);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, SetExplorerTest, testing::ValuesIn(kScenarios),
                         [](const testing::TestParamInfo<Scenario>& scenario) {
                           return std::string(NameOf(scenario.param));
                         });

// One mirror, whose log is changed after the run.
class MirrorImages : public SetTest {
 protected:
  MirrorImages() : SetTest(1) {}

  SetRecording Run(const Workload& workload) {
    auto recording = RecordSet(*set_, workload, Scenario::kSteady, 1);
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

TEST_F(MirrorImages, AForgottenFlushOfTheCommitWordIsFound) {
  SetRecording recording = Run(Lines("create A/n 0600\nfsyncdir A\n"));
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
  EXPECT_GT(distinct_.count(), 100U);
}

TEST_F(MirrorImagesOfClients, TheSameScheduleGivesTheSameImages) {
  Explore(Lines(kTwoSyncs), Scenario::kSteady);
  const uint64_t count = distinct_.count();
  Explore(Lines(kTwoSyncs), Scenario::kSteady);
  EXPECT_EQ(distinct_.count(), count);
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
  const auto failure = explorer.ExploreMirror(workload, *run, 0, {}, *set_->mirrors().front(),
                                              Takeover(run->epochs));
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->reason, HasSubstr("in none of"));
}

}  // namespace
}  // namespace mirdax::crash
