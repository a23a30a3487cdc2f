// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/recorder_region.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace mirdax {
namespace {

using testing::ElementsAre;
using Kind = RegionEvent::Kind;

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::unique_ptr<RecorderRegion> NewRegion() { return *RecorderRegion::Create(65536); }

TEST(RecorderRegion, CountsAndLogsWhatWasAsked) {
  const auto region = NewRegion();
  region->StartLog();
  region->Write(10, Bytes("abc"));
  region->Flush(10, 3);
  region->Stream(64, Bytes("defg"));
  region->StreamZeros(128, 64);
  region->Store64(8, 5);
  ASSERT_TRUE(region->Drain());
  const auto counts = region->counts();
  EXPECT_EQ(counts.stores, 2U);
  EXPECT_EQ(counts.streams, 2U);
  EXPECT_EQ(counts.flushes, 1U);
  EXPECT_EQ(counts.drains, 1U);
  EXPECT_EQ(counts.drained_lines, 3U);
  const auto log = region->TakeLog();
  ASSERT_EQ(log.size(), 6U);
  const auto kinds = {Kind::kWrite,       Kind::kFlush,   Kind::kStream,
                      Kind::kStreamZeros, Kind::kStore64, Kind::kDrain};
  EXPECT_TRUE(std::equal(log.begin(), log.end(), kinds.begin(),
                         [](const RegionEvent& e, Kind kind) { return e.kind == kind; }));
  EXPECT_EQ(log[0].offset, 10U);
  EXPECT_EQ(log[0].bytes.size(), 3U);
  EXPECT_EQ(log[0].sequence + 5, log[5].sequence);
  EXPECT_TRUE(region->TakeLog().empty());
  region->ResetCounts();
  EXPECT_EQ(region->counts().drains, 0U);
}

TEST(RecorderRegion, KnowsWhatIsInFlight) {
  const auto region = NewRegion();
  region->Write(0, Bytes("a"));
  region->Write(640, Bytes("b"));
  region->Flush(640, 1);
  EXPECT_THAT(region->InFlightLines(), ElementsAre(0, 640));
  ASSERT_TRUE(region->Drain());
  EXPECT_THAT(region->InFlightLines(), ElementsAre(0));  // never flushed
  region->Write(640, Bytes("b"));                        // the same bytes: nothing can be lost
  EXPECT_THAT(region->InFlightLines(), ElementsAre(0));
}

TEST(RecorderRegion, ADrainDoesNotCoverAnotherThreadsFlush) {
  const auto region = NewRegion();
  region->Write(0, Bytes("a"));
  region->Flush(0, 1);
  std::thread([&] { ASSERT_TRUE(region->Drain()); }).join();
  EXPECT_THAT(region->InFlightLines(), ElementsAre(0));
  ASSERT_TRUE(region->Drain());
  EXPECT_THAT(region->InFlightLines(), ElementsAre());
}

TEST(RecorderRegion, ACrashImageHoldsWhatWasDrainedAndWhatLanded) {
  const auto region = NewRegion();
  region->Stream(0, Bytes(std::string(64, 'd')));
  ASSERT_TRUE(region->Drain());
  region->Write(0, Bytes(std::string(64, 'n')));
  region->Write(64, Bytes(std::string(64, 'n')));
  region->Write(128, Bytes(std::string(64, 'n')));
  const auto text = [&](const std::vector<LandedLine>& landed) {
    const auto image = region->CrashImage(landed);
    return std::string(reinterpret_cast<const char*>(image->bytes().data()), 192);
  };
  const std::string zeros(64, '\0');
  EXPECT_EQ(text({}), std::string(64, 'd') + zeros + zeros);
  EXPECT_EQ(text({{64}}), std::string(64, 'd') + std::string(64, 'n') + zeros);
  EXPECT_EQ(text({{0, 0x81}}),
            std::string(8, 'n') + std::string(48, 'd') + std::string(8, 'n') + zeros + zeros);
}

TEST(RecorderRegion, AnImageIsAPoolAgain) {
  const auto region = NewRegion();
  region->Stream(100, Bytes("kept"));
  ASSERT_TRUE(region->Drain());
  const auto image = region->CrashImage({});
  const auto again = RecorderRegion::Create(image->bytes());
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->As<char>(103), 't');
  EXPECT_TRUE((*again)->InFlightLines().empty());
}

TEST(RecorderRegion, DrainsFailOnDemandAndWhatTheyCoveredIsOwed) {
  const auto region = NewRegion();
  region->FailDrain(2, false);
  region->Stream(0, Bytes("a"));
  EXPECT_TRUE(region->Drain());
  region->Stream(64, Bytes("b"));
  EXPECT_EQ(region->Drain().error().code, ErrorCode::kIo);
  EXPECT_THAT(region->InFlightLines(), ElementsAre(64));
  EXPECT_TRUE(region->Drain());
  EXPECT_TRUE(region->InFlightLines().empty());
  region->FailDrain(1, true);
  EXPECT_FALSE(region->Drain());
  EXPECT_FALSE(region->Drain());
  region->FailDrain(0, false);
  EXPECT_TRUE(region->Drain());
}

}  // namespace
}  // namespace mirdax
