// SPDX-License-Identifier: BSD-2-Clause
// One mirror copy and the requests of primaries that hold the key and mean it harm (R4, R6, R9).
#include "replicator/mirror_copy.h"

#include <gtest/gtest.h>

#include "fs/format/checksums.h"
#include "replicator/epochs.h"
#include "tests/unit/replicator/test_set.h"

namespace mirdax {
namespace {

using test::SimMirror;
using test::TestPrimary;

class HostileRequests : public ::testing::Test {
 protected:
  HostileRequests() : network_(clock_, random_, {}), mirror_(network_, "m:1", clock_, random_, 11) {
    const PrivateBlock block = primary_.copy.store->Get();
    attach_ = {Uuid{block.set_uuid}, Uuid{block.copy_uuid}, EpochsOf(block)};
    fill_ = {primary_.copy.pool->superblock(), attach_.epochs, 0};
  }
  MirrorCopy& copy() { return *mirror_.mirror; }
  static EpochRecord Later(EpochRecord epochs, uint64_t by) {
    const uint64_t number = epochs.history.back().epoch.number + by;
    epochs.history.push_back({{number, number}, 0, 0});
    return epochs;
  }
  void Refuses(const Result<CopyInfo>& answer, ErrorCode code) {
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, code) << answer.error().message;
  }

  sim::SimClock clock_;
  SeededRandom random_{3};
  sim::SimNetwork network_;
  TestPrimary primary_;
  SimMirror mirror_;
  AttachRequest attach_;
  FillRequest fill_;
};

TEST_F(HostileRequests, NoRequestTakesAMirrorBelowAnEpochThatHasBeenThere) {  // R6
  ASSERT_TRUE(copy().Attach(1, attach_, "old").has_value());
  ASSERT_TRUE(copy().BeginFill(1, fill_).has_value());
  ASSERT_TRUE(copy().EndFill(1, fill_).has_value());
  AttachRequest newer = attach_;
  newer.epochs = Later(attach_.epochs, 2);
  ASSERT_TRUE(copy().Attach(2, newer, "new").has_value());
  Refuses(copy().SetEpoch(2, attach_.epochs), ErrorCode::kStale);
  Refuses(copy().BeginFill(2, fill_), ErrorCode::kStale);
  // So the old one stays out.
  Refuses(copy().Attach(3, attach_, "old"), ErrorCode::kStale);
  EXPECT_TRUE(copy().SetEpoch(2, newer.epochs).has_value());
}

TEST_F(HostileRequests, AFillEndsWithTheSuperblockThatItBeganWith) {  // R4
  ASSERT_TRUE(copy().Attach(1, attach_, "p").has_value());
  ASSERT_TRUE(copy().BeginFill(1, fill_).has_value());
  FillRequest other = fill_;
  other.superblock.data_offset += kBlockSize;
  other.superblock.data_blocks -= 1;
  Seal(other.superblock);
  Refuses(copy().EndFill(1, other), ErrorCode::kInvalid);
  EXPECT_NE(copy().Info().state, CopyState::kConsistent);
  EXPECT_TRUE(mirror_.copy.pool->blank());
  EXPECT_TRUE(copy().EndFill(1, fill_).has_value());
}

TEST_F(HostileRequests, AFillIsOfThePrimarysOwnSet) {
  ASSERT_TRUE(copy().Attach(1, attach_, "p").has_value());
  FillRequest other = fill_;
  other.superblock.set_uuid[3] ^= 1;
  Seal(other.superblock);
  Refuses(copy().BeginFill(1, other), ErrorCode::kInvalid);
  EXPECT_EQ(copy().Info().state, CopyState::kBlank);
}

TEST_F(HostileRequests, KeysFromBeforeAFillAreDeadWhenItBegins) {  // R4
  ASSERT_TRUE(copy().Attach(1, attach_, "p").has_value());
  ASSERT_TRUE(copy().BeginFill(1, fill_).has_value());
  const auto endpoint = copy().OpenData(1, "auto");
  ASSERT_TRUE(endpoint.has_value());
  const auto dialer = network_.MakeDialer();
  const auto link = dialer->DialData(*endpoint, primary_.copy.region().memory(), 0);
  ASSERT_TRUE(link.has_value());
  auto windows = copy().GiveKeys(1);
  ASSERT_TRUE(windows.has_value());
  (*link)->SetWindows(std::move(*windows));

  ASSERT_TRUE(copy().BeginFill(1, fill_).has_value());
  const uint64_t place = primary_.copy.geometry().data.offset;
  const std::vector<std::byte> bytes(kLineSize, std::byte{7});
  ASSERT_TRUE((*link)->Write(place, bytes, 0).has_value());
  ASSERT_TRUE((*link)->Send(bytes, 0).has_value());
  std::vector<std::byte> message;
  EXPECT_FALSE((*link)->Poll(message).has_value());
  EXPECT_EQ(*mirror_.copy.region().At(place, 1), std::byte{0});
  EXPECT_FALSE(copy().GiveKeys(1).has_value());
}

}  // namespace
}  // namespace mirdax
