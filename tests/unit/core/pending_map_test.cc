// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/pending_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mirdax {
namespace {

TEST(PendingMap, NeighboursThatContinueInFileAndPoolAreOne) {
  PendingMap map;
  map.Add({10, 100, 2, PendingKind::kReserved});
  map.Add({14, 104, 2, PendingKind::kReserved});
  map.Add({12, 102, 2, PendingKind::kReserved});
  EXPECT_EQ(map.All(), (std::vector<PendingExtent>{{10, 100, 6, PendingKind::kReserved}}));
  map.Add({16, 200, 1, PendingKind::kReserved});   // not in the pool
  map.Add({17, 201, 1, PendingKind::kUnwritten});  // another kind
  EXPECT_EQ(map.count(), 3U);
  EXPECT_EQ(map.blocks(), 8U);
  EXPECT_EQ(map.reserved_blocks(), 7U);
}

TEST(PendingMap, FindCutsToTheBlockAskedFor) {
  PendingMap map;
  map.Add({10, 100, 5, PendingKind::kReserved});
  EXPECT_EQ(map.Find(12), (PendingExtent{12, 102, 3, PendingKind::kReserved}));
  EXPECT_FALSE(map.Find(15).has_value());
  EXPECT_FALSE(map.Find(9).has_value());
  EXPECT_EQ(map.FindAtOrAfter(3)->file_block, 10U);
}

TEST(PendingMap, AgreesWithAMapOfBlocks) {
  std::mt19937_64 random(2);
  PendingMap map;
  std::map<uint64_t, std::pair<BlockNo, PendingKind>> model;
  BlockNo next_pool = 1000;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t begin = random() % 200;
    const uint64_t end = begin + 1 + random() % 12;
    if (random() % 2 == 0) {
      bool taken = false;
      for (uint64_t at = begin; at < end; ++at) taken = taken || model.contains(at);
      if (taken) continue;
      const auto kind = random() % 3 == 0 ? PendingKind::kUnwritten : PendingKind::kReserved;
      if (random() % 2 == 0) next_pool += 7;
      map.Add({begin, next_pool, end - begin, kind});
      for (uint64_t at = begin; at < end; ++at) model[at] = {next_pool++, kind};
    } else {
      for (const PendingExtent& extent : map.Take(begin, end)) {
        for (uint64_t b = 0; b < extent.length; ++b) {
          const auto it = model.find(extent.file_block + b);
          ASSERT_NE(it, model.end());
          ASSERT_EQ(it->second, std::pair(extent.pool_block + b, extent.kind));
          model.erase(it);
        }
      }
      for (uint64_t at = begin; at < end; ++at) ASSERT_FALSE(model.contains(at));
    }
    ASSERT_EQ(map.blocks(), model.size());
    for (uint64_t at = 0; at < 220; ++at) {
      const auto found = map.Find(at);
      ASSERT_EQ(found.has_value(), model.contains(at));
      if (found) {
        ASSERT_EQ(found->pool_block, model[at].first);
      }
    }
  }
}

}  // namespace
}  // namespace mirdax
