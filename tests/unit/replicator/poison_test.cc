// SPDX-License-Identifier: BSD-2-Clause
// A medium that refuses bytes, on the primary and on a mirror: nothing of it is passed on, and
// nothing that a mirror lost is acknowledged.
#include "tests/support/poison.h"
#include "tests/unit/replicator/set_fixture.h"

namespace mirdax {
namespace {

using test::Poison;
using test::SimMirror;

class PoisonedSet : public test::SetFixture {
 protected:
  std::vector<std::byte> BlockOf(SimMirror& mirror, uint64_t index) {
    const std::byte* bytes = mirror.copy.region().At(DataOffset(index), kBlockSize);
    return {bytes, bytes + kBlockSize};
  }
  static std::vector<std::byte> Filled(int fill) {
    return std::vector<std::byte>(kBlockSize, static_cast<std::byte>(fill));
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, PoisonedSet, test::kBothWays, test::WayName);

TEST_P(PoisonedSet, WhatThePrimaryCannotReadIsNotSentAndNotAcknowledged) {
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  const Lsn before = one_->copy.commit();
  const Poison poison(primary_.copy.region(), DataOffset(10));
  const Status status = primary_.Commit(*sink_, 10, std::byte{2});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  for (SimMirror* mirror : {one_.get(), two_.get()}) {
    EXPECT_EQ(mirror->copy.commit(), before);
    EXPECT_EQ(BlockOf(*mirror, 10), Filled(1));
  }
  // It is not their fault.
  EXPECT_EQ(StateOf(0), "in-sync");
  EXPECT_EQ(StateOf(1), "in-sync");
  EXPECT_FALSE(primary_.Commit(*sink_, 20, std::byte{3}).has_value());
}

TEST_P(PoisonedSet, ABatchThatIsPartlyUnreadableSendsNoCommitWord) {
  ASSERT_TRUE(Connect().has_value());
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}, 64 * kBlockSize).has_value());
  const Lsn before = one_->copy.commit();
  const Poison poison(primary_.copy.region(), DataOffset(40));
  ASSERT_FALSE(primary_.Commit(*sink_, 10, std::byte{2}, 64 * kBlockSize).has_value());
  EXPECT_EQ(one_->copy.commit(), before);
  EXPECT_EQ(BlockOf(*one_, 40), Filled(1));
}

TEST_P(PoisonedSet, AMirrorThatLostWhatItWasSentLeavesTheList) {
  ASSERT_TRUE(Connect().has_value());
  const Poison poison(one_->copy.region(), DataOffset(10));
  EXPECT_EQ(*one_->copy.region().At(DataOffset(10), 1), std::byte{0});  // as its NIC would
  const Lsn before = one_->copy.commit();
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{2}).has_value());
  EXPECT_EQ(StateOf(0), "ejected");
  EXPECT_EQ(StateOf(1), "in-sync");
  EXPECT_EQ(one_->copy.commit(), before);
  EXPECT_FALSE(one_->mirror->Info().error.empty());
  EXPECT_EQ(BlockOf(*two_, 10), Filled(2));
  EXPECT_NE(one_->mirror->StatusDocument("direct").find(std::to_string(poison.offset())),
            std::string::npos);
}

TEST_P(PoisonedSet, AMirrorThatCannotReadItsJournalFailsAndSaysWhere) {
  ASSERT_TRUE(Connect().has_value());
  const Geometry& geometry = primary_.copy.geometry();
  const Lsn from = one_->copy.commit();
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  const Poison poison(one_->copy.region(),
                      geometry.journal.offset + from % geometry.journal.length);
  const Status applied = one_->mirror->Apply();
  ASSERT_FALSE(applied.has_value());
  EXPECT_NE(applied.error().message.find(std::to_string(poison.offset())), std::string::npos)
      << applied.error().message;
  EXPECT_EQ(one_->copy.store->Get().tail, from);
  ASSERT_TRUE(primary_.Commit(*sink_, 12, std::byte{2}).has_value());
  EXPECT_EQ(StateOf(0), "ejected");
}

TEST_P(PoisonedSet, AMirrorThatCannotStoreHomeKeepsItsTail) {
  ASSERT_TRUE(Connect().has_value());
  const Lsn from = one_->copy.commit();
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
  const Poison poison(one_->copy.region(), DataOffset(11));  // where the record's patch goes
  ASSERT_FALSE(one_->mirror->Apply().has_value());
  EXPECT_EQ(one_->copy.store->Get().tail, from);
  EXPECT_FALSE(one_->mirror->Info().error.empty());
}

TEST_P(PoisonedSet, NoMirrorIsFilledFromWhatCannotBeReadAndNoneIsChanged) {
  MarkInUse(40);
  const Poison poison(primary_.copy.region(), DataOffset(40));
  const Status status = Connect();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_NE(status.error().message.find(std::to_string(poison.offset())), std::string::npos)
      << status.error().message;
  EXPECT_EQ(one_->copy.store->Get().state, CopyState::kBlank);
}

TEST_P(PoisonedSet, AMirrorThatIsFilledAndLosesBytesIsNotFilled) {
  MarkInUse(40);
  const Poison poison(one_->copy.region(), DataOffset(40));
  EXPECT_EQ(*one_->copy.region().At(DataOffset(40), 1), std::byte{0});
  EXPECT_FALSE(Connect().has_value());
  EXPECT_EQ(one_->copy.store->Get().state, CopyState::kFilling);
}

TEST_P(PoisonedSet, ARefusedCommitWordKeepsAMirrorFromBeingServed) {
  ASSERT_TRUE(Connect().has_value());
  sink_.reset();
  const Poison poison(one_->copy.region(), kCommitLineOffset);
  const Status served = one_->Restart();
  ASSERT_FALSE(served.has_value());
  EXPECT_EQ(served.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace mirdax
