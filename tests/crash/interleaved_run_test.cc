// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/interleaved_run.h"

#include <gmock/gmock.h>

#include <set>

#include "tests/crash/client_generator.h"
#include "tests/crash/explorer.h"
#include "tests/crash/orders.h"

namespace mirdax::crash {
namespace {

using testing::HasSubstr;

class InterleavedRunTest : public testing::Test {
 protected:
  InterleavedRunTest() {
    auto pool = ShapedPool::Build(*FindShape("plain"));
    MIRDAX_CHECK(pool.has_value());
    pool_ = std::move(*pool);
  }
  InterleavedRun Run(Workload workload, uint64_t schedule) {
    workload.schedule = schedule;
    auto run = RecordClients(*pool_, workload);
    MIRDAX_CHECK(run.has_value());
    return std::move(*run);
  }

  std::unique_ptr<ShapedPool> pool_;
};

constexpr const char* kTwoSyncs =
    "open A/f @a\nopen B/g @b\n"
    "1: write @a 0 5000 1\n1: fsync @a\n"
    "2: append @b 6000 2\n2: fsync @b\n";

TEST_F(InterleavedRunTest, TheSameScheduleGivesTheSameRun) {
  std::set<uint64_t> interleavings;
  for (uint64_t schedule = 1; schedule <= 20; ++schedule) {
    const InterleavedRun one = Run(Lines(kTwoSyncs), schedule);
    const InterleavedRun two = Run(Lines(kTwoSyncs), schedule);
    EXPECT_EQ(one.interleaving, two.interleaving);
    ASSERT_EQ(one.log.size(), two.log.size());
    for (size_t i = 0; i < one.log.size(); ++i) {
      EXPECT_EQ(one.log[i].kind, two.log[i].kind);
      EXPECT_EQ(one.log[i].offset, two.log[i].offset);
      EXPECT_EQ(one.log[i].bytes, two.log[i].bytes);
    }
    ASSERT_EQ(one.points.size(), two.points.size());
    for (size_t i = 0; i < one.points.size(); ++i) {
      EXPECT_EQ(one.points[i].moment, two.points[i].moment);
    }
    interleavings.insert(one.interleaving);
  }
  EXPECT_GT(interleavings.size(), 15U);
}

TEST_F(InterleavedRunTest, SyncsAtOnceShareACommit) {
  unsigned shared = 0;
  for (uint64_t schedule = 1; schedule <= 40; ++schedule) {
    shared += Run(Lines(kTwoSyncs), schedule).shared_commits > 0 ? 1 : 0;
  }
  EXPECT_GT(shared, 5U);
  EXPECT_LT(shared, 40U);
  EXPECT_EQ(Run(Lines("1: create A/n 0600\n1: fsyncdir A\n"), 1).shared_commits, 0U);
}

TEST_F(InterleavedRunTest, LinesWithoutAClientRunAlone) {
  const Workload workload = Lines(
      "create A/n 0600\n1: chmod A 0700\n2: chmod B 0700\nsyncall\n1: unlink A/n\n2: unlink f\n");
  for (uint64_t schedule = 1; schedule <= 10; ++schedule) {
    const InterleavedRun run = Run(workload, schedule);
    ASSERT_EQ(run.operations.size(), 6U);
    EXPECT_EQ(run.operations[0].operation.kind, OpKind::kCreate);
    EXPECT_EQ(run.operations[3].operation.kind, OpKind::kSyncAll);
    for (const size_t i : {1U, 2U}) {
      EXPECT_GT(run.operations[i].begun_at, run.operations[0].returned_at);
      EXPECT_LT(run.operations[i].returned_at, run.operations[3].begun_at);
    }
    ASSERT_TRUE(run.end);
    EXPECT_EQ(run.points.back().moment, (Moment{6, 6}));
  }
}

TEST_F(InterleavedRunTest, WhatARunStoresIsTakenBack) {
  const uint64_t before = pool_->region().Hash();
  Run(Lines(kTwoSyncs), 3);
  EXPECT_EQ(pool_->region().Hash(), before);
}

TEST_F(InterleavedRunTest, ALogThatLacksAnAcknowledgedCommitIsAViolation) {
  const Workload workload = Lines(kTwoSyncs);
  InterleavedRun run = Run(workload, 1);
  ASSERT_TRUE(Orders(run).Find());
  // The commit word never leaves the cache.
  for (RegionEvent& event : run.log) {
    if (event.kind == RegionEvent::Kind::kFlush && event.offset == kCommitLineOffset) {
      event.length = 0;
    }
  }
  DistinctImages distinct;
  ExploreStats stats;
  Explorer explorer(*pool_, distinct, stats, nullptr);
  const auto failure = explorer.ExploreInterleaved(workload, run, {});
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->reason, HasSubstr("in none of"));
}

TEST(CheckClients, WhatIsUsedByPathMustNotBeChangedByAnother) {
  const auto why_not = [](std::string_view text) {
    const Status allowed = CheckClients(Lines(text));
    return allowed ? "allowed" : allowed.error().message;
  };
  EXPECT_EQ(why_not("1: rename A/f B/g\n2: rename B/g A/f exchange\n2: create A/f 0600\n"),
            "allowed");
  EXPECT_EQ(why_not("open A/f @a\n1: write @a 0 10 1\n2: unlink A/f\n"), "allowed");
  EXPECT_THAT(why_not("1: write A/f 0 10 1\n2: unlink A/f\n"), HasSubstr("uses A/f"));
  EXPECT_THAT(why_not("1: create A/d/n 0600\n2: rename A/d A/e\n"), HasSubstr("uses A/d"));
  EXPECT_EQ(why_not("1: write A/f 0 10 1\n1: unlink A/f\n"), "allowed") << "one client";
  EXPECT_EQ(why_not("1: write A/f 0 10 1\ntick\n2: unlink A/f\n"), "allowed") << "not at once";
  EXPECT_THAT(why_not("1: unmount\n"), HasSubstr("unmount"));
}

TEST(ClientGenerator, PairsMeetEveryOperationOnFilesAndOnNames) {
  std::set<OpKind> kinds;
  const auto pairs = ClientPairs("plain", 2, 1);
  EXPECT_GT(pairs.size(), 3000U);
  for (const GeneratedWorkload& each : pairs) {
    EXPECT_EQ(each.workload.clients(), 2U);
    EXPECT_TRUE(CheckClients(each.workload));
    for (const Operation& operation : each.workload.operations) kinds.insert(operation.kind);
  }
  EXPECT_EQ(kinds.size(), static_cast<size_t>(OpKind::kUnmount) - 1) << "all but syncall, unmount";
}

TEST(ClientGenerator, ASampleIsTheSameForTheSameSeed) {
  const auto sample = [](uint64_t seed) {
    std::vector<Workload> workloads;
    for (auto& each : SampleClients("plain", 3, 2, 20, seed)) workloads.push_back(each.workload);
    return workloads;
  };
  EXPECT_EQ(sample(5), sample(5));
  EXPECT_NE(sample(5), sample(6));
  for (const Workload& each : sample(7)) EXPECT_EQ(each.clients(), 3U);
}

}  // namespace
}  // namespace mirdax::crash
