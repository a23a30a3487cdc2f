// SPDX-License-Identifier: BSD-2-Clause
// Fault loops as a machine: faults strike where they are told to, and what they spoil is seen.
#include "tests/crash/fault_run.h"

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>

#include "fs/base/memory_reserve.h"
#include "fs/base/mutant.h"
#include "tests/crash/manual_pages.h"

namespace mirdax::crash {
namespace {

using testing::HasSubstr;

class FaultRunTest : public testing::Test {
 protected:
  FaultRunTest() { spdlog::set_level(spdlog::level::off); }
  ~FaultRunTest() override { spdlog::set_level(spdlog::level::info); }

  ShapedPool& Pool(const std::string& shape) {
    auto& pool = pools_[shape];
    if (!pool) {
      auto built = ShapedPool::Build(*FindShape(shape));
      MIRDAX_CHECK(built.has_value());
      pool = std::move(*built);
    }
    return *pool;
  }
  FaultOutcome Run(const Workload& workload, const FaultPlan& plan) {
    return FaultRun(Pool(workload.shape), stats_).Run(workload, plan);
  }
  uint64_t Chances(const Workload& workload, FaultKind kind) {
    const auto chances = FaultRun(Pool(workload.shape), stats_).CountChances(workload, kind);
    MIRDAX_CHECK(chances.has_value());
    return chances->back();
  }
  // The first violation of the whole loop; how often an operation failed is added to failed_.
  std::string Loop(const Workload& workload, FaultKind kind) {
    const uint64_t chances = Chances(workload, kind);
    for (const bool lasting : {false, true}) {
      for (uint64_t at = 1; at <= chances; ++at) {
        const FaultOutcome outcome = Run(workload, {kind, at, lasting});
        if (outcome.failed) ++failed_;
        if (outcome.stopped) ++stopped_;
        if (!outcome.violation.empty()) {
          return PrintFault({kind, at, lasting}) + ": " + outcome.violation;
        }
      }
    }
    return "no violation";
  }

  std::map<std::string, std::unique_ptr<ShapedPool>> pools_;
  ExploreStats stats_;
  uint64_t failed_ = 0;
  uint64_t stopped_ = 0;
};

TEST_F(FaultRunTest, EachKindOfFaultHasChancesAndMakesOperationsFail) {
  const Workload workload = Lines("create A/n 0640\nwrite A/n 0 9000 1\nfsync A/n\n");
  for (const FaultKind kind : kFaultKinds) {
    if (IsOfMirrors(kind)) continue;
    EXPECT_GT(Chances(workload, kind), 0U) << FaultName(kind);
    failed_ = 0;
    EXPECT_EQ(Loop(workload, kind), "no violation");
    EXPECT_GT(failed_, 0U) << FaultName(kind);
  }
  EXPECT_GT(stopped_, 0U);  // by a drain that failed in a commit
}

TEST_F(FaultRunTest, AFaultBehindTheLastChanceDoesNotStrike) {
  const Workload workload = Lines("mkdir A/m 0750\ntick\n");
  for (const FaultKind kind : kFaultKinds) {
    if (IsOfMirrors(kind)) continue;
    const uint64_t chances = Chances(workload, kind);
    EXPECT_EQ(Run(workload, {kind, chances + 1, false}).strikes, 0U) << FaultName(kind);
    EXPECT_EQ(Run(workload, {kind, chances, false}).strikes, 1U) << FaultName(kind);
  }
}

TEST_F(FaultRunTest, ALastingFaultStrikesAgain) {
  const Workload workload = Lines("write A/f 20000 500 0\nappend f 9000 1\ntick\n");
  EXPECT_GT(Run(workload, {FaultKind::kSpace, 1, true}).strikes, 1U);
  EXPECT_GT(Run(workload, {FaultKind::kMemory, 1, true}).strikes, 1U);
}

TEST_F(FaultRunTest, ARunTakesBackWhatItStored) {
  const uint64_t before = Pool("plain").region().Hash();
  Run(Lines("create A/n 0640\nfsyncdir A\n"), {FaultKind::kDrain, 1, false});
  EXPECT_EQ(Pool("plain").region().Hash(), before);
}

// What the loops have found, each under the name of the bug.

TEST_F(FaultRunTest, WithoutMemoryNothingStopsHalfWay) {
  EXPECT_EQ(Loop(Lines("rename A/f B/g\nlink f A/k\nfsyncdir A\nunlink A/k\n"), FaultKind::kMemory),
            "no violation");
  EXPECT_EQ(stopped_, 0U);
}

TEST_F(FaultRunTest, ATruncationThatFailsHasChangedNothing) {
  EXPECT_EQ(Loop(Lines("truncate A/f 0\n"), FaultKind::kMemory), "no violation");
  EXPECT_EQ(Loop(Lines("write A/f 20000 500 0\ntruncate A/f 30000\n"), FaultKind::kMemory),
            "no violation");
}

TEST_F(FaultRunTest, ATruncationNeedsNoFreeBlock) {
  EXPECT_EQ(Loop(Lines("truncate A/f 100\nfsync A/f\n"), FaultKind::kSpace), "no violation");
  EXPECT_EQ(failed_, 0U);
}

TEST_F(FaultRunTest, APunchThatFailsLeavesTheBytes) {
  const Workload workload = Lines("shape extents\npunch A/f 100 8800\n");
  EXPECT_EQ(Loop(workload, FaultKind::kSpace), "no violation");
  EXPECT_EQ(Loop(workload, FaultKind::kMemory), "no violation");
}

TEST_F(FaultRunTest, AZeroRangeThatFailsLeavesWhatIsNotSynced) {
  const Workload workload = Lines("write A/f 20000 9000 1\nzero A/f 10000 16000\nfsync A/f\n");
  EXPECT_EQ(Loop(workload, FaultKind::kSpace), "no violation");
  EXPECT_EQ(Loop(workload, FaultKind::kMemory), "no violation");
}

TEST_F(FaultRunTest, AnUnmountThatFailedCanBeTriedAgain) {
  EXPECT_EQ(Loop(Lines("append f 100 0\nunmount\n"), FaultKind::kDrain), "no violation");
}

TEST_F(FaultRunTest, AnUnlinkedFileThatCouldNotBeFreedIsFreedAtTheNextTick) {
  EXPECT_EQ(Loop(Lines("open B/g @o\nunlink B/g\nclose @o\n"), FaultKind::kMemory), "no violation");
}

// With two mirrors, each lasting or single fault in turn; the first violation.
std::string LoopWithMirrors(const Workload& workload, FaultKind kind, bool returns,
                            uint64_t& strikes) {
  auto set = MirroredPool::Build(*FindShape(workload.shape), 2);
  MIRDAX_CHECK(set.has_value());
  ExploreStats stats;
  FaultRun run(**set, stats, returns);
  const auto chances = run.CountChances(workload, kind);
  MIRDAX_CHECK(chances.has_value());
  for (const bool lasting : {false, true}) {
    for (uint64_t at = 1; at <= chances->back(); ++at) {
      const FaultOutcome outcome = run.Run(workload, {kind, at, lasting});
      strikes += outcome.strikes;
      if (!outcome.violation.empty())
        return PrintFault({kind, at, lasting}) + ": " + outcome.violation;
    }
  }
  return "no violation";
}

TEST_F(FaultRunTest, AMirrorWithoutMemoryIsLostAndComesBackToTheSameDaemon) {
  uint64_t strikes = 0;
  EXPECT_EQ(
      LoopWithMirrors(Lines("append f 100 0\nfsync f\n"), FaultKind::kMirrorMemory, false, strikes),
      "no violation");
  EXPECT_GT(strikes, 10U);
}

TEST_F(FaultRunTest, AMirrorGivenUpForWantOfThePrimarysMemoryIsNotWithoutAReason) {
  uint64_t strikes = 0;
  EXPECT_EQ(LoopWithMirrors(Lines("chmod f 0600\n"), FaultKind::kMemory, true, strikes),
            "no violation");
  EXPECT_GT(strikes, 10U);
}

TEST_F(FaultRunTest, AMediumThatRefusesFileDataStopsNothing) {
  const Workload workload = Lines("write A/f 4000 3000 1\nmmap-store f 100 50 1\n");
  const uint64_t chances = Chances(workload, FaultKind::kPoison);
  uint64_t went_on = 0;
  for (uint64_t at = 1; at <= chances; ++at) {
    const FaultOutcome outcome = Run(workload, {FaultKind::kPoison, at, false});
    EXPECT_EQ(outcome.violation, "") << at;
    if (!outcome.stopped) ++went_on;
  }
  EXPECT_GT(went_on, 1U);
  EXPECT_LT(went_on, chances);  // the others met metadata
}

TEST_F(FaultRunTest, AMountThatMeetsARefusedRootInodeSaysSo) {
  EXPECT_EQ(Loop(Lines("chmod / 0700\ntick\n"), FaultKind::kPoison), "no violation");
}

TEST(ManualPages, SayWhichCallMayFailOfWhat) {
  EXPECT_TRUE(MayFailWith({.kind = OpKind::kMkdir}, ErrorCode::kNoSpace));
  EXPECT_FALSE(MayFailWith({.kind = OpKind::kUnlink}, ErrorCode::kNoSpace));
  EXPECT_TRUE(MayFailWith({.kind = OpKind::kUnlink}, ErrorCode::kNoMemory));
  EXPECT_FALSE(MayFailWith({.kind = OpKind::kMsync}, ErrorCode::kNoMemory));
  EXPECT_TRUE(MayFailWith({.kind = OpKind::kMsync}, ErrorCode::kShutdown));
  EXPECT_FALSE(MayFailWith({.kind = OpKind::kFsync}, ErrorCode::kTimedOut));
  EXPECT_FALSE(MayFailWith({.kind = OpKind::kCreate}, ErrorCode::kExists));
}

#ifdef MIRDAX_MUTANTS
class FaultMutantTest : public FaultRunTest {
 protected:
  ~FaultMutantTest() override { internal::active_mutant = Mutant::kNone; }
  std::string LoopOf(Mutant mutant, std::string_view lines, FaultKind kind) {
    const Workload workload = Lines(lines);
    Pool(workload.shape);
    internal::active_mutant = mutant;
    return Loop(workload, kind);
  }
};

TEST_F(FaultMutantTest, ALeakIsSeen) {
  EXPECT_THAT(LoopOf(Mutant::kInodeLeaked, "create A/d/n 0600\n", FaultKind::kSpace),
              HasSubstr("free"));
}

TEST_F(FaultMutantTest, AMirrorThatCountsWhatItHadNoMemoryForIsSeen) {
  const Workload workload = Lines("append f 100 0\nfsync f\n");
  for (const Mutant mutant : {Mutant::kLostMessageDurable, Mutant::kLostApplyCounts}) {
    internal::active_mutant = mutant;
    uint64_t strikes = 0;
    EXPECT_NE(LoopWithMirrors(workload, FaultKind::kMirrorMemory, false, strikes), "no violation")
        << static_cast<int>(mutant);
    internal::active_mutant = Mutant::kNone;
  }
}

TEST_F(FaultMutantTest, AViolationComesWithThePoolAsItWasThen) {
  const Workload workload = Lines("create A/d/n 0600\n");
  const std::vector<std::byte> whole(Pool("plain").region().memory().begin(),
                                     Pool("plain").region().memory().end());
  EXPECT_TRUE(Run(workload, {FaultKind::kSpace, 1, false}).image.empty()) << "no violation";
  internal::active_mutant = Mutant::kInodeLeaked;
  const uint64_t chances = Chances(workload, FaultKind::kSpace);
  FaultOutcome outcome;
  for (uint64_t at = 1; at <= chances && outcome.violation.empty(); ++at)
    outcome = Run(workload, {FaultKind::kSpace, at, false});
  ASSERT_NE(outcome.violation, "");
  EXPECT_EQ(outcome.image.size(), whole.size());
  EXPECT_NE(outcome.image, whole) << "with what the run stored";
}

TEST_F(FaultMutantTest, AWrongErrnoIsSeen) {
  EXPECT_THAT(LoopOf(Mutant::kSyncSaysNoMemory, "append f 100 0\nfsync f\n", FaultKind::kMemory),
              HasSubstr("manual page"));
}

TEST_F(FaultMutantTest, ALostSyncIsSeen) {
  EXPECT_THAT(LoopOf(Mutant::kDrainErrorIgnored, "append f 100 0\nfsync f\n", FaultKind::kDrain),
              HasSubstr("power cut"));
}

TEST_F(FaultMutantTest, ZerosInPlaceOfRefusedBytesAreSeen) {
  EXPECT_THAT(LoopOf(Mutant::kPoisonShown, "mmap-store f 100 50 1\nfsync f\n", FaultKind::kPoison),
              testing::Not("no violation"));
  EXPECT_THAT(LoopOf(Mutant::kPoisonedStore, "write A/f 100 50 1\nfsync A/f\n", FaultKind::kPoison),
              testing::Not("no violation"));
  EXPECT_THAT(LoopOf(Mutant::kPoisonCommitted, "mkdir A/n 0700\nfsyncdir A\n", FaultKind::kPoison),
              testing::Not("no violation"));
}

TEST_F(FaultMutantTest, ASyncThatSucceedsAfterOneThatFailedIsSeen) {
  EXPECT_THAT(LoopOf(Mutant::kFailedCommitForgotten, "append f 100 0\nfsync f\nfsync f\n",
                     FaultKind::kDrain),
              testing::Not("no violation"));
}
#endif

}  // namespace
}  // namespace mirdax::crash
