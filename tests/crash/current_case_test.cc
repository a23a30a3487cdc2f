// SPDX-License-Identifier: BSD-2-Clause
// A process that dies, or does not end, says at which case it was.
#include "tests/crash/current_case.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "tests/crash/explorer.h"

namespace mirdax::crash {
namespace {

using std::chrono::milliseconds;

void Say(const CurrentImage* image) {
  if (image == nullptr)
    fmt::print(stderr, "in the run of my workload\n");
  else
    fmt::print(stderr, "copy {} point {} subset {} of my workload\n", CopyName(image->copy),
               image->point, image->subset);
}

[[noreturn]] void Hang() {
  for (;;) std::this_thread::sleep_for(milliseconds(10));
}

// Explores a workload while drain number `at` of the pool does not return; the number of drains.
uint64_t ExploreUntilDrain(uint64_t at) {
  auto pool = ShapedPool::Build(*FindShape("plain"));
  MIRDAX_CHECK(pool.has_value());
  uint64_t drains = 0;
  (*pool)->region().FailDrainsIf([&] {
    if (++drains == at) Hang();
    return false;
  });
  DistinctImages distinct;
  ExploreStats stats;
  Explorer explorer(**pool, distinct, stats, {});
  ExploreOptions options;
  options.images_per_point = 4;
  const CurrentCase current(Say, CurrentCase::Deadline::kForEachImage);
  const bool sound = !explorer.Explore(Lines("create A/n 0640\nfsyncdir A\n"), options);
  MIRDAX_CHECK(sound);
  return drains;
}

void Watched(milliseconds deadline, const std::function<void()>& body) {
  CurrentCase::ReportOnAbort();
  HangWatch watch(deadline);
  const HangWatch::Watched watched(watch);
  body();
}

class CurrentCaseDeathTest : public testing::Test {
 protected:
  CurrentCaseDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(CurrentCaseDeathTest, ARunThatHangsIsSaidToBeTheRun) {
  EXPECT_EXIT(Watched(milliseconds(300), [] { ExploreUntilDrain(3); }),
              testing::KilledBySignal(SIGABRT),
              "no end after 0.3 s.*dies of signal.*in the run of");
}

TEST_F(CurrentCaseDeathTest, AnImageThatHangsIsSaidWithPointAndSubset) {
  const uint64_t drains = ExploreUntilDrain(0);
  ASSERT_GT(drains, 30U);  // most are of images
  EXPECT_EXIT(
      Watched(milliseconds(2000), [=] { ExploreUntilDrain(drains - 1); }),
      testing::KilledBySignal(SIGABRT),
      "no end after 2 s.*dies of signal.*copy primary point [0-9]+ subset [0-9]+ of my workload");
}

TEST_F(CurrentCaseDeathTest, AHelpersDeathIsThatOfTheCase) {
  const auto body = [] {
    const CurrentCase current(Say, CurrentCase::Deadline::kForAll);
    std::thread([whose = CurrentCase::OfThread()] {
      const CurrentCase::Helper helper(whose);
      std::abort();
    }).join();
  };
  EXPECT_EXIT(Watched(milliseconds(60000), body), testing::KilledBySignal(SIGABRT),
              "dies of signal.*in the run of");
}

TEST(HangWatch, GivesEachImageItsOwnTimeAndLeavesIdleThreadsAlone) {
  HangWatch watch(milliseconds(900));
  const HangWatch::Watched watched(watch);
  {
    const CurrentCase current(Say, CurrentCase::Deadline::kForEachImage);
    for (uint64_t image = 0; image < 8; ++image) {
      CurrentCase::SetImage(0, image, {});
      std::this_thread::sleep_for(milliseconds(150));
    }
  }
  std::this_thread::sleep_for(milliseconds(1000));
}

TEST_F(CurrentCaseDeathTest, ACaseWithOneDeadlineForAllHangsThoughItsImagesGoOn) {
  const auto body = [] {
    const CurrentCase current(Say, CurrentCase::Deadline::kForAll);
    for (uint64_t image = 0;; ++image) {
      CurrentCase::SetImage(0, image, {});
      std::this_thread::sleep_for(milliseconds(20));
    }
  };
  EXPECT_EXIT(Watched(milliseconds(300), body), testing::KilledBySignal(SIGABRT),
              "no end after 0.3 s.*dies of signal");
}

}  // namespace
}  // namespace mirdax::crash
