// SPDX-License-Identifier: BSD-2-Clause
// An old primary and a promoted mirror: one of them writes (R6).
#include "tests/unit/replicator/set_fixture.h"

namespace mirdax {
namespace {

using test::TestPrimary;

// As `mirdax promote` does it: recovery, then a higher epoch, role primary, no members.
void Promote(test::TestCopy& copy) {
  ASSERT_TRUE(RecoverPool(*copy.pool, *copy.store, true).has_value());
  ASSERT_TRUE(copy.store
                  ->Update([&](PrivateBlock& block) {
                    block.role = Role::kPrimary;
                    block.members = {};
                    BeginEpoch(block, 4242, copy.commit(), 0);
                  })
                  .has_value());
}

class Fencing : public test::SetFixture {
 protected:
  // The first mirror is promoted and takes the second one over, which cuts the old primary's data
  // connection. Returns the old primary's replication.
  std::unique_ptr<PrimaryReplication> PromoteTheFirstMirror() {
    EXPECT_TRUE(Connect().has_value());
    EXPECT_TRUE(primary_.Commit(*sink_, 10, std::byte{1}).has_value());
    auto stale = std::move(sink_);
    one_->node.StopServing();
    one_->mirror.reset();
    Promote(one_->copy);
    std::swap(promoted_.copy.pool, one_->copy.pool);
    std::swap(promoted_.copy.store, one_->copy.store);
    options_.mirrors = {"two:2"};
    EXPECT_TRUE(ConnectFrom(promoted_).has_value());
    EXPECT_EQ(StateOf(0), "in-sync");
    return stale;
  }

  TestPrimary promoted_{99};
};

INSTANTIATE_TEST_SUITE_P(Ways, Fencing, test::kBothWays, test::WayName);

TEST_P(Fencing, AStalePrimaryChangesNoByteAfterAPromotion) {
  auto stale = PromoteTheFirstMirror();
  const Lsn commit = two_->copy.commit();
  const std::vector<std::byte> bytes = two_->copy.Durable(0, test::kTestPoolSize);

  // The old one wakes up in the middle of its work.
  EXPECT_FALSE(primary_.Commit(*stale, 10, std::byte{7}).has_value());
  EXPECT_EQ(two_->copy.commit(), commit);
  EXPECT_EQ(two_->copy.Durable(0, test::kTestPoolSize), bytes);
  stale.reset();

  // And it cannot be mounted with that mirror again.
  std::swap(sink_, stale);
  ASSERT_TRUE(RecoverPool(*primary_.copy.pool, *primary_.copy.store).has_value());
  const Status again = ConnectFrom(primary_);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kStale);
  EXPECT_NE(again.error().message.find("two:2"), std::string::npos);
}

TEST_P(Fencing, AFencedPrimaryWhoseDataConnectionIsCutLearnsThatItIsStaleAndEjectsNobody) {
  const auto stale = PromoteTheFirstMirror();
  const PrivateBlock before = primary_.copy.store->Get();
  for (uint64_t i = 0; i < 3; ++i) {
    const Status sync = primary_.Commit(*stale, 20 + 2 * i, std::byte{7});
    ASSERT_FALSE(sync.has_value());
    EXPECT_EQ(sync.error().code, ErrorCode::kStale);
    stale->Beat();
  }
  const PrivateBlock after = primary_.copy.store->Get();
  EXPECT_EQ(CurrentEpoch(after), CurrentEpoch(before));
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(after.members[i].state, MemberState::kInSync);
  EXPECT_TRUE(promoted_.Commit(*sink_, 30, std::byte{8}).has_value());  // the new one goes on
  EXPECT_EQ(StateOf(0), "in-sync");
}

}  // namespace
}  // namespace mirdax
