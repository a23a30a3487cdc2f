// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/lookup_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mirdax {
namespace {

TEST(LookupTable, CountsUpAndDown) {
  LookupTable table(100000);
  EXPECT_EQ(table.Count(5), 0U);
  table.Add(5, 2);
  table.Add(99999, 1);
  EXPECT_EQ(table.Count(5), 2U);
  EXPECT_EQ(table.Subtract(5, 1), 1U);
  EXPECT_EQ(table.Subtract(5, 1), 0U);
  EXPECT_EQ(table.Count(99999), 1U);
}

TEST(LookupTable, ForgettingTooMuchStopsAtZero) {
  LookupTable table(10);
  EXPECT_EQ(table.Subtract(3, 7), 0U);
  table.Add(3, 1);
  EXPECT_EQ(table.Subtract(3, 7), 0U);
  EXPECT_EQ(table.Count(3), 0U);
}

TEST(LookupTable, LosesNoCountBetweenThreads) {
  LookupTable table(20000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&table] {
      for (int i = 0; i < 20000; ++i) {
        table.Add(static_cast<Ino>(i), 2);
        table.Subtract(static_cast<Ino>(i), 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (Ino ino = 0; ino < 20000; ++ino) ASSERT_EQ(table.Count(ino), 4U);
}

}  // namespace
}  // namespace mirdax
