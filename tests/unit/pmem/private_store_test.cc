// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/private_store.h"

#include <gtest/gtest.h>

#include <cstring>

#include "fs/pmem/recorder_region.h"

namespace mirdax {
namespace {

PrivateBlock First() {
  PrivateBlock block{};
  block.copy_uuid.fill(1);
  block.set_uuid.fill(2);
  block.role = Role::kPrimary;
  block.state = CopyState::kConsistent;
  BeginEpoch(block, 99, 0, 5);
  return block;
}

std::unique_ptr<RecorderRegion> Formatted() {
  auto region = *RecorderRegion::Create(65536);
  EXPECT_TRUE(PrivateStore::Format(*region, First()));
  return region;
}

Lsn TailIn(Region& region) {
  auto store = PrivateStore::Open(region);
  EXPECT_TRUE(store) << store.error().message;
  return (*store)->Get().tail;
}

std::unique_ptr<RecorderRegion> WithLines(RecorderRegion& region,
                                          const std::vector<uint64_t>& lines, unsigned subset) {
  std::vector<LandedLine> landed;
  for (size_t i = 0; i < lines.size(); ++i)
    if ((subset & 1U << i) != 0) landed.push_back({lines[i], 0xff});
  return *RecorderRegion::Create(region.CrashImage(landed)->bytes());
}

TEST(PrivateStore, KeepsWhatItWasGiven) {
  const auto region = Formatted();
  auto store = PrivateStore::Open(*region);
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->Get().role, Role::kPrimary);
  ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.tail = 640; }));
  EXPECT_EQ((*store)->Get().tail, 640U);
  EXPECT_EQ(TailIn(*region), 640U);
}

TEST(PrivateStore, AnUpdateIsDurableWhenItReturns) {
  const auto region = Formatted();
  auto store = PrivateStore::Open(*region);
  for (Lsn tail = 64; tail < 640; tail += 64) {
    ASSERT_TRUE((*store)->Update([&](PrivateBlock& block) { block.tail = tail; }));
    const auto image = RecorderRegion::Create(region->CrashImage({})->bytes());
    EXPECT_EQ(TailIn(**image), tail);
  }
}

// Every subset of a torn update's lines: the old block or the new one, never none.
TEST(PrivateStore, ATornUpdateLeavesTheOldBlock) {
  const auto region = Formatted();
  auto store = PrivateStore::Open(*region);
  ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.tail = 64; }));
  ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.tail = 128; }));
  region->FailDrain(1, false);
  ASSERT_FALSE((*store)->Update([](PrivateBlock& block) {
    block.tail = 192;
    block.history[0].since_seconds = 77;
  }));
  EXPECT_EQ((*store)->Get().tail, 128U);
  const auto lines = region->InFlightLines();
  ASSERT_GE(lines.size(), 2U);
  ASSERT_LE(lines.size(), 8U);
  for (unsigned subset = 0; subset < 1U << lines.size(); ++subset)
    EXPECT_EQ(TailIn(*WithLines(*region, lines, subset)),
              subset + 1 == 1U << lines.size() ? 192U : 128U);
}

TEST(PrivateStore, LinesOfTwoTornUpdatesNeverMakeTheFirstOneCount) {
  const auto change = [](Lsn tail) {
    return [tail](PrivateBlock& block) {
      block.tail = tail;
      block.history[0].since_seconds = 77;
      block.members[3].copy_uuid.fill(9);
      block.members[3].state = MemberState::kInSync;
      block.members[3].address[0] = 'a';
    };
  };
  const auto region = Formatted();
  {
    auto store = PrivateStore::Open(*region);
    ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.tail = 64; }));
    ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.tail = 128; }));
    region->FailDrain(1, false);
    ASSERT_FALSE((*store)->Update(change(192)));
  }
  const auto lines = region->InFlightLines();
  ASSERT_GE(lines.size(), 2U);
  for (unsigned first = 0; first + 1 < 1U << lines.size(); ++first) {
    for (uint64_t drain = 1; drain <= 2; ++drain) {
      const auto torn = WithLines(*region, lines, first);
      auto store = PrivateStore::Open(*torn);
      torn->FailDrain(drain, false);
      const bool updated = (*store)->Update(change(256)).has_value();
      const auto again = torn->InFlightLines();
      for (unsigned second = 0; second < 1U << again.size(); ++second) {
        const Lsn tail = TailIn(*WithLines(*torn, again, second));
        EXPECT_TRUE(tail == 256 || (!updated && tail == 128)) << tail;
      }
    }
  }
}

TEST(PrivateStore, TheEpochThatAMemberLeftInStaysInAFullHistory) {
  const auto region = Formatted();
  auto store = PrivateStore::Open(*region);
  const auto begin = [&] {
    ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { BeginEpoch(block, 1, 0, 0); }));
  };
  for (int i = 0; i < 5; ++i) begin();
  const uint64_t left = CurrentEpoch((*store)->Get()).number;
  begin();
  ASSERT_TRUE((*store)->Update([&](PrivateBlock& block) {
    block.members[2].copy_uuid.fill(9);
    block.members[2].address[0] = 'a';
    block.members[2].state = MemberState::kOutOfSync;
    block.members[2].since_epoch = left + 1;
  }));
  for (int i = 0; i < 100; ++i) begin();
  const PrivateBlock block = (*store)->Get();
  EXPECT_EQ(block.history_count, kHistoryLength);
  EXPECT_EQ(block.history[0].epoch.number, left);
  EXPECT_EQ(CurrentEpoch(block).number, left + 101);
}

TEST(PrivateStore, AnUpdateThatFailedCanBeMadeAgain) {
  const auto region = Formatted();
  auto store = PrivateStore::Open(*region);
  region->FailDrain(1, false);
  EXPECT_EQ((*store)->Update([](PrivateBlock& block) { block.tail = 64; }).error().code,
            ErrorCode::kIo);
  EXPECT_EQ((*store)->Get().tail, 0U);
  EXPECT_TRUE((*store)->Update([](PrivateBlock& block) { block.tail = 64; }));
  EXPECT_EQ(TailIn(*region), 64U);
}

TEST(PrivateStore, AChangeThatMakesNoValidBlockIsRefused) {
  const auto region = Formatted();
  auto store = PrivateStore::Open(*region);
  EXPECT_EQ((*store)->Update([](PrivateBlock& block) { block.tail = 63; }).error().code,
            ErrorCode::kInvalid);
  EXPECT_EQ(TailIn(*region), 0U);
}

TEST(PrivateStore, NoValidBlockIsCorrupt) {
  const auto region = *RecorderRegion::Create(65536);
  const auto store = PrivateStore::Open(*region);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kCorrupt);
}

TEST(PrivateStore, AnUpdateCostsOneDrain) {
  const auto region = Formatted();
  auto store = PrivateStore::Open(*region);
  region->ResetCounts();
  ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.tail = 64; }));
  EXPECT_EQ(region->counts().drains, 1U);
  EXPECT_EQ(region->counts().flushes, 1U);
}

TEST(Epoch, HistoryKeepsTheNewestEpochs) {
  PrivateBlock block{};
  EXPECT_EQ(CurrentEpoch(block), (EpochId{0, 0}));
  for (uint64_t i = 1; i <= kHistoryLength + 3; ++i) {
    BeginEpoch(block, 1000 + i, i * 64, 0);
    EXPECT_EQ(CurrentEpoch(block), (EpochId{i, 1000 + i}));
  }
  EXPECT_EQ(block.history_count, kHistoryLength);
  EXPECT_EQ(block.history[0].epoch.number, 4U);
}

}  // namespace
}  // namespace mirdax
