// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/interleaver.h"

#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "fs/base/mutex.h"

namespace mirdax::crash {
namespace {

void Nothing(unsigned /*client*/) {}

// Two clients append letters; what they wrote, and the run's fingerprint.
std::pair<std::string, uint64_t> Letters(uint64_t seed) {
  std::string text;
  Interleaver interleaver(2, seed, Nothing);
  const auto append = [&](char letter) {
    return [&text, letter] {
      for (int i = 0; i < 20; ++i) {
        text += letter;
        thread_schedule->Step();
      }
    };
  };
  interleaver.Run({append('a'), append('b')});
  return {text, interleaver.fingerprint()};
}

TEST(Interleaver, TheSameSeedGivesTheSameTurnsAndOthersDiffer) {
  std::set<std::string> texts;
  std::set<uint64_t> fingerprints;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const auto once = Letters(seed);
    EXPECT_EQ(once, Letters(seed));
    texts.insert(once.first);
    fingerprints.insert(once.second);
  }
  EXPECT_GT(texts.size(), 20U);
  EXPECT_EQ(texts.size(), fingerprints.size());
}

TEST(Interleaver, ALockExcludesAndWhoWaitsForItGoesOnLater) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Mutex mutex;
    SharedMutex shared;
    int inside = 0;
    int entered = 0;
    const auto body = [&] {
      for (int i = 0; i < 5; ++i) {
        const MutexLock lock(mutex);
        const WriteLock write(shared);
        EXPECT_EQ(++inside, 1);
        thread_schedule->Step();
        --inside;
        ++entered;
      }
    };
    Interleaver interleaver(3, seed, Nothing);
    interleaver.Run({body, body, body});
    EXPECT_EQ(entered, 15);
  }
}

TEST(Interleaver, ANotificationEndsTheWaitForACondition) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Mutex mutex;
    CondVar changed;
    bool ready = false;
    bool seen = false;
    Interleaver interleaver(2, seed, Nothing);
    interleaver.Run({[&] {
                       const MutexLock lock(mutex);
                       while (!ready) changed.Wait(mutex);
                       seen = true;
                     },
                     [&] {
                       {
                         const MutexLock lock(mutex);
                         ready = true;
                       }
                       changed.NotifyAll();
                     }});
    EXPECT_TRUE(seen);
    EXPECT_LE(interleaver.conditions_awaited(0), 1U);
  }
}

TEST(Interleaver, ThreadsStayTheSameFromRunToRunAndHearOfTheirTurns) {
  std::vector<unsigned> turns;
  Interleaver interleaver(2, 1, [&](unsigned client) { turns.push_back(client); });
  std::set<std::thread::id> ids;
  for (int run = 0; run < 3; ++run) {
    interleaver.Run({[&] { ids.insert(std::this_thread::get_id()); }, nullptr});
  }
  EXPECT_EQ(ids.size(), 1U);
  EXPECT_EQ(turns, (std::vector<unsigned>{0, 0, 0}));
}

TEST(InterleaverDeathTest, ClientsThatWaitForEachOtherAreReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto deadlock = [] {
    std::signal(SIGABRT, SIG_DFL);  // a library's handler would leave a file in this folder
    for (uint64_t seed = 1; seed <= 100; ++seed) {
      Mutex a;
      Mutex b;
      const auto body = [](Mutex& first, Mutex& second) {
        return [&] {
          const MutexLock one(first);
          const MutexLock two(second);
        };
      };
      Interleaver interleaver(2, seed, Nothing);
      interleaver.Run({body(a, b), body(b, a)});
    }
  };
  EXPECT_DEATH(deadlock(), "each client waits for another");
}

}  // namespace
}  // namespace mirdax::crash
