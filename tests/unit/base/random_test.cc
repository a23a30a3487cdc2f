// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/random.h"

#include <gtest/gtest.h>

#include <array>

namespace mirdax {
namespace {

TEST(SeededRandom, GivesTheSameBytesForTheSameSeedOnEveryMachine) {
  SeededRandom one(7);
  SeededRandom two(7);
  SeededRandom other(8);
  const uint64_t first = one.Next64();
  EXPECT_EQ(first, two.Next64());
  EXPECT_NE(first, other.Next64());
  EXPECT_EQ(SeededRandom(5489).Next64(), 14514284786278117030U);  // mt19937_64's own vector
}

TEST(SystemRandom, FillsEveryByte) {
  SystemRandom random;
  std::array<std::byte, 1000> bytes{};
  random.Fill(bytes);
  EXPECT_GT(std::count_if(bytes.begin(), bytes.end(), [](auto b) { return b != std::byte{0}; }),
            900);
  EXPECT_NE(random.Next64(), random.Next64());
}

}  // namespace
}  // namespace mirdax
