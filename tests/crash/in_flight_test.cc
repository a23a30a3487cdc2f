// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/in_flight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/crash/subsets.h"

namespace mirdax::crash {
namespace {

class InFlightTest : public testing::Test {
 protected:
  InFlightTest() {
    const std::vector<std::byte> zeros(uint64_t{64} * 1024);
    auto region = ImageRegion::Create(zeros);
    MIRDAX_CHECK(region.has_value());
    region_ = std::move(*region);
    region_->Begin();
  }
  RegionEvent Store(uint64_t offset, uint8_t value, uint64_t length = 8) {
    return {.sequence = 0,
            .kind = RegionEvent::Kind::kWrite,
            .offset = offset,
            .length = length,
            .bytes = std::vector<std::byte>(length, std::byte{value}),
            .thread = {},
            .failed = false};
  }
  RegionEvent Other(RegionEvent::Kind kind, uint64_t offset = 0, uint64_t length = 0) {
    return {.sequence = 0,
            .kind = kind,
            .offset = offset,
            .length = length,
            .bytes = {},
            .thread = {},
            .failed = false};
  }
  RegionEvent Flush(uint64_t offset, uint64_t length = 8) {
    return Other(RegionEvent::Kind::kFlush, offset, length);
  }
  RegionEvent Drain() { return Other(RegionEvent::Kind::kDrain); }
  std::byte Durable(uint64_t offset) { return *region_->At(offset, 1); }

  std::unique_ptr<ImageRegion> region_;
};

TEST_F(InFlightTest, AStoreStaysInFlightUntilItIsFlushedAndDrained) {
  InFlight in_flight(*region_);
  in_flight.Replay(Store(128, 1));
  in_flight.Replay(Drain());
  ASSERT_EQ(in_flight.Lines().size(), 1U);
  EXPECT_EQ(in_flight.Lines()[0].offset, 128U);
  EXPECT_EQ(Durable(128), std::byte{0});
  in_flight.Replay(Flush(130, 1));
  EXPECT_EQ(in_flight.Lines().size(), 1U);
  in_flight.Replay(Drain());
  EXPECT_TRUE(in_flight.Lines().empty());
  EXPECT_EQ(Durable(128), std::byte{1});
}

TEST_F(InFlightTest, AStoreBetweenFlushAndDrainStaysInFlight) {
  InFlight in_flight(*region_);
  in_flight.Replay(Store(0, 1));
  in_flight.Replay(Flush(0));
  in_flight.Replay(Store(0, 2));
  in_flight.Replay(Drain());
  EXPECT_EQ(Durable(0), std::byte{1});
  ASSERT_EQ(in_flight.Lines().size(), 1U);
  EXPECT_EQ(in_flight.Lines()[0].contents.back()[0], std::byte{2});
}

TEST_F(InFlightTest, ALineStoredTwiceMayHaveItsOlderContents) {
  InFlight in_flight(*region_);
  in_flight.Replay(Store(0, 1));
  in_flight.Replay(Store(8, 2));
  const auto lines = in_flight.Lines();
  ASSERT_EQ(lines.size(), 1U);
  ASSERT_EQ(lines[0].contents.size(), 2U);
  EXPECT_EQ(lines[0].contents[0][0], std::byte{1});
  EXPECT_EQ(lines[0].contents[0][8], std::byte{0});
  EXPECT_EQ(lines[0].contents[1][8], std::byte{2});
}

TEST_F(InFlightTest, ADrainCoversOnlyItsOwnThreadsFlushes) {
  InFlight in_flight(*region_);
  std::thread::id other;
  std::thread([&other] { other = std::this_thread::get_id(); }).join();
  in_flight.Replay(Store(0, 1));
  RegionEvent flush = Flush(0);
  flush.thread = other;
  in_flight.Replay(flush);
  in_flight.Replay(Drain());
  EXPECT_EQ(in_flight.Lines().size(), 1U);
  RegionEvent drain = Drain();
  drain.thread = other;
  in_flight.Replay(drain);
  EXPECT_TRUE(in_flight.Lines().empty());
}

TEST_F(InFlightTest, AFailedDrainMakesNothingDurable) {
  InFlight in_flight(*region_);
  in_flight.Replay(Store(0, 1));
  in_flight.Replay(Flush(0));
  RegionEvent drain = Drain();
  drain.failed = true;
  in_flight.Replay(drain);
  EXPECT_EQ(in_flight.Lines().size(), 1U);
}

TEST_F(InFlightTest, SubsetsBeginWithNoneAllEachAloneAndAllButOne) {
  InFlight in_flight(*region_);
  for (uint64_t line = 0; line < 12; ++line) in_flight.Replay(Store(line * 64, 1));
  const auto lines = in_flight.Lines();
  const Subsets subsets(lines, 1);
  EXPECT_TRUE(subsets.At(0).empty());
  EXPECT_EQ(subsets.At(1).size(), 12U);
  for (uint64_t i = 0; i < 12; ++i) {
    EXPECT_EQ(subsets.At(2 + i), std::vector<Landing>({{i, 0, 0xff}}));
    EXPECT_EQ(subsets.At(14 + i).size(), 11U);
  }
  EXPECT_EQ(subsets.At(1000), Subsets(lines, 1).At(1000)) << "one seed, one subset";
}

// Those of whole lines that `numbers` stand for: bit i is line i.
std::set<uint64_t> WholeOnes(const Subsets& subsets, const std::vector<uint64_t>& numbers) {
  std::set<uint64_t> masks;
  for (const uint64_t number : numbers) {
    uint64_t mask = 0;
    bool whole = true;
    for (const Landing& landing : subsets.At(number)) {
      mask |= uint64_t{1} << landing.line;
      whole = whole && landing.words == 0xff;
    }
    if (whole) masks.insert(mask);
  }
  return masks;
}

TEST_F(InFlightTest, EverySubsetOfUpToTenLinesIsVisited) {
  for (uint64_t count = 1; count <= 10; ++count) {
    InFlight in_flight(*region_);
    for (uint64_t line = 0; line < count; ++line) in_flight.Replay(Store(line * 64, 1));
    const auto lines = in_flight.Lines();
    const Subsets subsets(lines, 1);
    EXPECT_TRUE(subsets.Exhausts(subsets.planned()));
    EXPECT_EQ(WholeOnes(subsets, subsets.Choose(subsets.planned())).size(), 1U << count);
  }
}

TEST_F(InFlightTest, EverySubsetOfFewLinesComesBeforeTornOnes) {
  for (uint64_t count = 3; count <= 5; ++count) {
    InFlight in_flight(*region_);
    for (uint64_t line = 0; line < count; ++line) in_flight.Replay(Store(line * 64, 1));
    const auto lines = in_flight.Lines();
    const Subsets subsets(lines, 1);
    const uint64_t all = uint64_t{1} << count;
    ASSERT_GT(subsets.planned(), all) << "there are torn ones";
    EXPECT_EQ(WholeOnes(subsets, subsets.Choose(all)).size(), all);
    EXPECT_TRUE(subsets.Exhausts(all));
    EXPECT_FALSE(subsets.Exhausts(all - 1));
    const std::vector<uint64_t> more = subsets.Choose(all + 2);
    EXPECT_EQ(more.size(), all + 2);
    EXPECT_EQ(WholeOnes(subsets, {more.begin(), more.end() - 2}).size(), all);
  }
}

TEST_F(InFlightTest, ABudgetAlwaysHasNoneAndAllThenSinglesSpreadOverTheLines) {
  InFlight in_flight(*region_);
  for (uint64_t line = 0; line < 100; ++line) in_flight.Replay(Store(line * 64, 1));
  const auto lines = in_flight.Lines();
  EXPECT_EQ(Subsets(lines, 1).Choose(0), (std::vector<uint64_t>{0, 1}));
  const std::vector<uint64_t> chosen = Subsets(lines, 1).Choose(22);
  ASSERT_EQ(chosen.size(), 22U);
  EXPECT_EQ(chosen[0], 0U);
  EXPECT_EQ(chosen[1], 1U);
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_GE(chosen[2 + i], 2 + i * 10) << "alone: 0 to 99, missing: 100 to 199";
    EXPECT_LT(chosen[2 + i], 2 + (i + 1) * 10);
  }
  EXPECT_NE(chosen, Subsets(lines, 2).Choose(22));
}

TEST_F(InFlightTest, EachAloneAndAllButOneComeBeforeRandomOnes) {
  InFlight in_flight(*region_);
  for (uint64_t line = 0; line < 12; ++line) in_flight.Replay(Store(line * 64, 1));
  const auto lines = in_flight.Lines();
  const Subsets subsets(lines, 1);
  for (const uint64_t budget : {uint64_t{26}, uint64_t{27}, uint64_t{60}}) {
    const std::vector<uint64_t> chosen = subsets.Choose(budget);
    ASSERT_EQ(chosen.size(), budget);
    for (uint64_t i = 0; i < 26; ++i) EXPECT_EQ(chosen[i], i);
    EXPECT_TRUE(std::ranges::is_sorted(chosen));
  }
}

TEST_F(InFlightTest, ATornLineLandsByWords) {
  InFlight in_flight(*region_);
  in_flight.Replay(Store(0, 1, 64));
  const auto lines = in_flight.Lines();
  const std::vector<Landing> landed{{0, 0, 0x02}};
  Land(*region_, lines, landed);
  EXPECT_EQ(Durable(7), std::byte{0});
  EXPECT_EQ(Durable(8), std::byte{1});
  EXPECT_EQ(Durable(15), std::byte{1});
  EXPECT_EQ(Durable(16), std::byte{0});
}

}  // namespace
}  // namespace mirdax::crash
