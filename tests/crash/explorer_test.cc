// SPDX-License-Identifier: BSD-2-Clause
// The machinery as a whole: it accepts what is right, and finds what is broken.
#include "tests/crash/explorer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "fs/base/mutant.h"
#include "tests/crash/client_generator.h"
#include "tests/crash/generator.h"
#include "tests/crash/repeat.h"

namespace mirdax::crash {
namespace {

using testing::HasSubstr;

class ExplorerTest : public testing::Test {
 protected:
  ExplorerTest() {
    auto pool = ShapedPool::Build(*FindShape("plain"));
    MIRDAX_CHECK(pool.has_value());
    pool_ = std::move(*pool);
  }
#ifdef MIRDAX_MUTANTS
  ~ExplorerTest() override { internal::active_mutant = Mutant::kNone; }
#endif
  std::string Explore(const Workload& workload, const Recording* recording = nullptr,
                      ExploreOptions options = {}) {
    Explorer explorer(*pool_, distinct_, stats_, nullptr);
    const auto failure = recording == nullptr
                             ? explorer.Explore(workload, options)
                             : explorer.ExploreRecording(workload, *recording, options);
    if (failure) {
      failed_point_ = failure->point;
      failed_subset_ = failure->subset;
    }
    return failure ? failure->reason : "no violation";
  }
  // A run whose log lacks the events that `broken` says.
  template <typename Broken>
  Recording Breaking(const Workload& workload, const Broken& broken) {
    auto recording = Record(*pool_, workload);
    MIRDAX_CHECK(recording.has_value());
    for (size_t i = recording->spans.front().begin; i < recording->log.size(); ++i) {
      RegionEvent& event = recording->log[i];
      if (!broken(event)) continue;
      event.length = 0;  // it covers nothing any more
      event.bytes.clear();
    }
    return std::move(*recording);
  }

  std::unique_ptr<ShapedPool> pool_;
  DistinctImages distinct_;
  ExploreStats stats_;
  uint64_t failed_point_ = 0;
  uint64_t failed_subset_ = 0;
};

TEST_F(ExplorerTest, ACorrectRunHasNoViolation) {
  EXPECT_EQ(Explore(Lines("write A/f 0 100 1\nfsync A/f\nrename A/f B/g\nfsyncdir B\n")),
            "no violation");
  EXPECT_GT(distinct_.count(DistinctImages::Of::kPrimaries), 50U);
  EXPECT_GT(stats_.check.recovery_images, 0U);
}

TEST_F(ExplorerTest, WhatARunStoresIsTakenBack) {
  const uint64_t before = pool_->region().Hash();
  Explore(Lines("create A/n 0600\ntick\n"));
  EXPECT_EQ(pool_->region().Hash(), before);
}

TEST_F(ExplorerTest, ARunTwiceGivesTheSameImages) {
  const Workload workload = Lines("append f 5000 1\nfsync f\n");
  Explore(workload);
  const uint64_t count = distinct_.count(DistinctImages::Of::kPrimaries);
  Explore(workload);
  EXPECT_EQ(distinct_.count(DistinctImages::Of::kPrimaries), count);
}

TEST_F(ExplorerTest, AForgottenFlushOfTheCommitWordIsFound) {
  const Workload workload = Lines("create A/n 0600\nfsyncdir A\n");
  const Recording broken = Breaking(workload, [](const RegionEvent& event) {
    return event.kind == RegionEvent::Kind::kFlush && event.offset == kCommitLineOffset;
  });
  EXPECT_THAT(Explore(workload, &broken), HasSubstr("/A/n is missing"));
}

TEST_F(ExplorerTest, AForgottenFlushOfFileDataIsFound) {
  const Workload workload = Lines("write A/f 0 4096 1\nfsync A/f\n");
  Recording broken = Breaking(workload, [](const RegionEvent&) { return false; });
  for (RegionEvent& event : broken.log) {
    // Streamed data becomes a store that nobody flushes.
    if (event.kind == RegionEvent::Kind::kStream && event.length == 4096) {
      event.kind = RegionEvent::Kind::kWrite;
    }
    if (event.kind == RegionEvent::Kind::kFlush && event.length == 4096) event.length = 0;
  }
  EXPECT_THAT(Explore(workload, &broken), HasSubstr("/A/f: the bytes at"));
}

TEST_F(ExplorerTest, ACommitWordBeforeItsRecordIsFound) {
  const Workload workload = Lines("create A/n 0600\nfsyncdir A\n");
  auto recording = Record(*pool_, workload);
  ASSERT_TRUE(recording);
  // The drain between the record and the commit word moves to the end.
  auto& log = recording->log;
  const auto word = std::find_if(log.begin(), log.end(), [&](const RegionEvent& event) {
    return event.kind == RegionEvent::Kind::kStore64 &&
           &event - log.data() >= static_cast<ptrdiff_t>(recording->spans.front().begin);
  });
  ASSERT_NE(word, log.end());
  const auto drain = std::prev(word);
  ASSERT_EQ(drain->kind, RegionEvent::Kind::kDrain);
  drain->kind = RegionEvent::Kind::kFlush;
  drain->length = 0;
  EXPECT_THAT(Explore(workload, &*recording), HasSubstr("recovery: journal record"));
}

TEST_F(ExplorerTest, AFailureIsRepeatedByItsPointAndSubset) {
  const Workload workload = Lines("create A/n 0600\nfsyncdir A\n");
  const Recording broken = Breaking(workload, [](const RegionEvent& event) {
    return event.kind == RegionEvent::Kind::kFlush && event.offset == kCommitLineOffset;
  });
  const std::string reason = Explore(workload, &broken);
  ExploreOptions one;
  one.point = failed_point_;
  one.subset = failed_subset_;
  const uint64_t before = stats_.check.images;
  EXPECT_EQ(Explore(workload, &broken, one), reason);
  EXPECT_EQ(stats_.check.images, before + 1);
}

TEST_F(ExplorerTest, ARecoveryThatGivesOtherBytesTheSecondTimeIsFound) {
  const Workload workload = Lines("create A/n 0600\nfsyncdir A\n");
  const auto recording = Record(*pool_, workload);
  ASSERT_TRUE(recording);
  ExploreOptions last;
  last.point = recording->Points().size() - 1;
  last.recovery_every = last.unmount_every = 0;
  // At its n-th drain, whoever recovers also stores to a block that nobody uses.
  uint64_t drains = 0;
  const auto with_stray = [&](uint64_t at) {
    drains = 0;
    ImageRegion& region = pool_->region();
    region.FailDrainsIf([&drains, &region, at] {
      if (++drains == at) region.Store64(region.size() - kBlockSize, 1);
      return false;
    });
    const std::string reason = Explore(workload, &*recording, last);
    region.FailDrainsIf(nullptr);
    return reason;
  };
  ASSERT_EQ(with_stray(0), "no violation");
  const uint64_t all = drains;
  uint64_t found = 0;
  for (uint64_t at = 1; at <= all; ++at) {
    const std::string reason = with_stray(at);
    if (reason == "no violation") continue;
    EXPECT_EQ(reason, "recovering all of it again gives other bytes");
    ++found;
  }
  EXPECT_GT(found, 0U);
  EXPECT_LT(found, all);
}

#ifdef MIRDAX_MUTANTS
TEST_F(ExplorerTest, ARecoveryThatLeavesSomethingToDoIsFound) {
  internal::active_mutant = Mutant::kReplayTailNotStored;
  EXPECT_EQ(Explore(Lines("create A/n 0600\nfsyncdir A\n")),
            "recovering again finds something to do");
}

TEST_F(ExplorerTest, AFailureOfACrashDuringRecoveryIsRepeatedWithThatCrash) {
  internal::active_mutant = Mutant::kReplayTailFirst;
  const Workload workload = Lines("create A/n 0600\nfsyncdir A\n");
  ExploreOptions asked;
  asked.recovery_every = 3;
  asked.unmount_every = 0;
  Explorer explorer(*pool_, distinct_, stats_, nullptr);
  const auto found = explorer.Explore(workload, asked);
  ASSERT_TRUE(found);
  const uint64_t before = stats_.check.images;
  const auto again = explorer.Explore(workload, RepeatOptions(asked, *found));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->reason, found->reason);
  EXPECT_EQ(again->point, found->point);
  EXPECT_EQ(again->subset, found->subset);
  EXPECT_EQ(stats_.check.images, before + 1);
}
#endif

TEST(RepeatCommand, HasAllThatDecidesWhatIsDoneWithTheImage) {
  ExploreOptions asked;
  asked.seed = 5;
  asked.recovery_every = 16;
  asked.recovery_subsets = 7;
  Failure failure{
      .workload = Lines("tick\n"), .point = 3, .subset = 4, .copy = 1, .moment = {}, .reason = {}};
  EXPECT_EQ(RepeatCommand("F", asked, failure, {}),
            "crash_explorer --run F --point 3 --subset 4 --seed 5 --recovery-every 0 "
            "--unmount-every 0");
  failure.depth.recovery = 7;
  failure.depth.unmount = true;
  EXPECT_EQ(RepeatCommand("F", asked, failure, {}),
            "crash_explorer --run F --point 3 --subset 4 --seed 5 --recovery-every 1 "
            "--unmount-every 1 --recovery-subsets 7");
  failure.depth = {};
  failure.depth.takeover.serve = true;
  failure.workload = Lines("schedule 9\n1: tick\n2: tick\n");
  EXPECT_EQ(RepeatCommand("F", asked, failure, Scenario::kSteady),
            "crash_explorer --run F --point 3 --subset 4 --seed 5 --recovery-every 0 "
            "--unmount-every 0 --mirror steady --copy 1 --serve-every 1 --schedule 9");
  failure.copy = kAllCopies;
  EXPECT_THAT(RepeatCommand("F", asked, failure, Scenario::kBack), HasSubstr(" --copy all "));
  failure.copy = kPrimaryCopy;
  EXPECT_THAT(RepeatCommand("F", asked, failure, Scenario::kBack), HasSubstr(" --copy primary "));
  for (const uint64_t copy : {kAllCopies, kPrimaryCopy, uint64_t{0}, uint64_t{7}})
    EXPECT_EQ(FindCopy(CopyName(copy)), copy);
  EXPECT_EQ(FindCopy("9"), std::nullopt) << "a set has at most 8 mirrors";
}

TEST_F(ExplorerTest, AnAnswerThatTheModelDoesNotGiveIsAViolation) {
  EXPECT_EQ(Explore(Lines("unlink A/absent\n")), "no violation") << "both say not found";
  // A name that the model does not know of.
  pool_->region().Begin();
  {
    State state;
    const auto mounted = pool_->Mount(&state);
    ASSERT_TRUE(mounted);
    ASSERT_TRUE((*mounted)->volume().Create(kRootIno, "n", 0600, {}));
    ASSERT_TRUE((*mounted)->volume().Unmount());
  }
  EXPECT_THAT(Explore(Lines("create n 0600\n")), HasSubstr("answered exists"));
  pool_->region().Undo();
}

TEST(Generator, EveryCoreOperationIsPossibleOnAFreshShape) {
  std::set<std::string> first;
  for (const auto& each : Systematic("plain", 1)) {
    first.insert(PrintOperation(each.workload.operations.front()));
  }
  std::set<std::string> core;
  for (const CoreOperation& each : CoreOperations()) {
    Operation operation = each.lines.front();
    operation.tag = 1;
    core.insert(PrintOperation(operation));
  }
  EXPECT_EQ(first.size(), core.size());
}

std::set<std::string> Printed(const std::vector<GeneratedWorkload>& generated) {
  std::set<std::string> all;
  for (const auto& each : generated) {
    Workload workload = each.workload;
    workload.shape = "plain";
    all.insert(PrintWorkload(workload));
  }
  return all;
}

TEST(Generator, ARenameAcrossDirectoriesIsFollowedByASyncOfEither) {
  const std::set<std::string> all = Printed(Systematic("plain", 1));
  for (const char* dir : {"A", "B"})
    EXPECT_TRUE(
        all.contains(PrintWorkload(Lines(fmt::format("rename A/f B/r\nfsyncdir {}\n", dir)))))
        << dir;
}

TEST(Generator, SamplesOfTwoShapesAreNotTheSame) {
  const auto plain = Printed(Sample("plain", 3, 50, 7));
  EXPECT_EQ(plain, Printed(Sample("plain", 3, 50, 7))) << "but one seed gives one sample";
  const auto full = Printed(Sample("full", 3, 50, 7));
  std::vector<std::string> both;
  std::ranges::set_intersection(plain, full, std::back_inserter(both));
  EXPECT_LT(both.size(), 5U);
  EXPECT_NE(Printed(SampleClients("plain", 2, 2, 50, 7)),
            Printed(SampleClients("full", 2, 2, 50, 7)));
}

}  // namespace
}  // namespace mirdax::crash
