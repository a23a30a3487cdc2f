// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/memory_reserve.h"

#include <gtest/gtest.h>

#include <new>

namespace mirdax {
namespace {

// What operator new does when it finds no memory.
bool MemoryIsFound() {
  try {
    std::get_new_handler()();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

class MemoryReserveTest : public testing::Test {
 protected:
  MemoryReserveTest() { MemoryReserve::Install(); }
  ~MemoryReserveTest() override { std::set_new_handler(nullptr); }
};

TEST_F(MemoryReserveTest, WithoutItNoMemoryIsAnError) { EXPECT_FALSE(MemoryIsFound()); }

TEST_F(MemoryReserveTest, WhileItIsOpenWhatWasSetAsideIsFound) {
  const auto reserve = MemoryReserve::Open();
  ASSERT_TRUE(reserve.has_value());
  for (size_t i = 0; i < MemoryReserve::kPieces; ++i) EXPECT_TRUE(MemoryIsFound());
  EXPECT_FALSE(MemoryIsFound());
}

TEST_F(MemoryReserveTest, ReplenishingMakesItWholeAgain) {
  const auto reserve = MemoryReserve::Open();
  EXPECT_TRUE(MemoryIsFound());
  EXPECT_TRUE(MemoryReserve::Replenish().has_value());
  for (size_t i = 0; i < MemoryReserve::kPieces; ++i) EXPECT_TRUE(MemoryIsFound());
}

TEST_F(MemoryReserveTest, ItCloses) {
  { const auto reserve = MemoryReserve::Open(); }
  EXPECT_FALSE(MemoryIsFound());
}

TEST_F(MemoryReserveTest, OneInsideTheOtherClosesWithTheOuterOne) {
  const auto outer = MemoryReserve::Open();
  { const auto inner = MemoryReserve::Open(); }
  EXPECT_TRUE(MemoryIsFound());
}

}  // namespace
}  // namespace mirdax
