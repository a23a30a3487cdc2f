// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/range_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace mirdax {
namespace {

using Ranges = std::vector<ByteRange>;

TEST(RangeSet, RangesThatTouchOrOverlapAreOne) {
  RangeSet set;
  set.Add(10, 20);
  set.Add(30, 40);
  EXPECT_EQ(set.ranges(), (Ranges{{10, 20}, {30, 40}}));
  set.Add(20, 30);
  EXPECT_EQ(set.ranges(), (Ranges{{10, 40}}));
  set.Add(0, 100);
  EXPECT_EQ(set.bytes(), 100U);
}

TEST(RangeSet, RemovingCutsRangesApart) {
  RangeSet set;
  set.Add(0, 100);
  set.Remove(40, 60);
  EXPECT_EQ(set.ranges(), (Ranges{{0, 40}, {60, 100}}));
  set.Remove(0, 70);
  EXPECT_EQ(set.ranges(), (Ranges{{70, 100}}));
  EXPECT_EQ(set.bytes(), 30U);
}

TEST(RangeSet, AgreesWithASetOfBytes) {
  std::mt19937_64 random(1);
  RangeSet set;
  std::vector<bool> model(300);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t begin = random() % model.size();
    const uint64_t end = std::min<uint64_t>(model.size(), begin + random() % 40);
    const bool add = random() % 2 == 0;
    add ? set.Add(begin, end) : set.Remove(begin, end);
    for (uint64_t at = begin; at < end; ++at) model[at] = add;
    Ranges expected;
    for (uint64_t at = 0; at < model.size(); ++at) {
      if (!model[at]) continue;
      if (!expected.empty() && expected.back().end == at) {
        ++expected.back().end;
      } else {
        expected.push_back({at, at + 1});
      }
    }
    ASSERT_EQ(set.ranges(), expected);
    ASSERT_EQ(set.bytes(), static_cast<uint64_t>(std::count(model.begin(), model.end(), true)));
  }
}

}  // namespace
}  // namespace mirdax
