// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/owed_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

namespace mirdax {
namespace {

using testing::ElementsAre;
using Ranges = std::vector<PoolRange>;

Ranges Drained(OwedRanges& owed) {
  Ranges got;
  EXPECT_TRUE(owed.Drain([&](std::span<const PoolRange> ranges, bool) -> Status {
    got.assign(ranges.begin(), ranges.end());
    return {};
  }));
  return got;
}

TEST(OwedRanges, AreWidenedSortedAndMerged) {
  OwedRanges owed(4096, 0);
  owed.Add(20'000, 1);
  owed.Add(1, 1);
  owed.Add(4095, 2);
  owed.Add(8192, 0);
  EXPECT_THAT(Drained(owed), ElementsAre(PoolRange{0, 8192}, PoolRange{16384, 4096}));
  EXPECT_THAT(Drained(owed), ElementsAre());
}

TEST(OwedRanges, NearOnesBecomeOne) {
  OwedRanges owed(64, 1024);
  owed.Add(64, 64);
  owed.Add(128 + 1024, 64);
  owed.Add(8192, 64);
  EXPECT_THAT(Drained(owed), ElementsAre(PoolRange{64, 1152}, PoolRange{8192, 64}));
}

TEST(OwedRanges, ManyStayCheap) {
  OwedRanges owed(64, 0);
  for (uint64_t i = 0; i < 100'000; ++i) owed.Add(i * 7919 % 100'000 * 64, 64);
  EXPECT_THAT(Drained(owed), ElementsAre(PoolRange{0, 6'400'000}));
}

// invariants.md 8: no retry that succeeds falsely.
TEST(OwedRanges, WhatFailedIsOwedUntilItSucceeds) {
  OwedRanges owed(64, 0);
  owed.Add(0, 64);
  const auto fail = [](std::span<const PoolRange>, bool) -> Status {
    return Fail(ErrorCode::kIo, "no");
  };
  EXPECT_EQ(owed.Drain(fail).error().code, ErrorCode::kIo);
  EXPECT_EQ(owed.Drain(fail).error().code, ErrorCode::kIo);
  owed.Add(640, 64);
  bool first_try = true;
  Ranges got;
  EXPECT_TRUE(owed.Drain([&](std::span<const PoolRange> ranges, bool first) -> Status {
    got.assign(ranges.begin(), ranges.end());
    first_try = first;
    return {};
  }));
  EXPECT_FALSE(first_try);
  EXPECT_THAT(got, ElementsAre(PoolRange{0, 64}, PoolRange{640, 64}));
}

// A thread whose ranges another drain has taken waits for it, and shares its fate.
void DrainBehindAnother(bool fails) {
  OwedRanges owed(64, 0);
  owed.Add(0, 64);
  std::binary_semaphore working(0);
  std::binary_semaphore go_on(0);
  std::thread other([&] {
    const Status status = owed.Drain([&](std::span<const PoolRange>, bool) -> Status {
      working.release();
      go_on.acquire();
      if (fails) return Fail(ErrorCode::kIo, "no");
      return {};
    });
    EXPECT_EQ(status.has_value(), !fails);
  });
  working.acquire();
  std::atomic<bool> done = false;
  std::thread second([&] {
    const Status status = owed.Drain([](std::span<const PoolRange>, bool) -> Status { return {}; });
    EXPECT_EQ(status.has_value(), !fails);
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(done);
  go_on.release();
  other.join();
  second.join();
  EXPECT_EQ(Drained(owed).size(), fails ? 1U : 0U);
}

TEST(OwedRanges, ADrainWaitsForTheOneThatTookItsRanges) { DrainBehindAnother(false); }
TEST(OwedRanges, ADrainFailsWithTheOneThatTookItsRanges) { DrainBehindAnother(true); }

}  // namespace
}  // namespace mirdax
