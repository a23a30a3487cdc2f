// SPDX-License-Identifier: BSD-2-Clause
// What a tap on the simulated network is told, and when.
#include <gmock/gmock.h>

#include "tests/unit/replicator/set_fixture.h"

namespace mirdax {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;

// Notes what the mirror's memory held at each call.
class Tap final : public sim::SimTap {
 public:
  explicit Tap(Region& mirror) : mirror_(mirror) {}
  void Posted(uint64_t offset, std::span<const std::byte> bytes) override {
    posted.push_back(offset);
    landed_at_post = landed_at_post || Holds(offset, bytes);
  }
  void Sent() override { ++sent; }
  void Placing(uint64_t offset, std::span<const std::byte> bytes) override {
    EXPECT_FALSE(Holds(offset, bytes)) << "it is told before";
    placed.push_back(offset);
  }

  std::vector<uint64_t> posted;
  std::vector<uint64_t> placed;
  size_t sent = 0;
  bool landed_at_post = false;

 private:
  bool Holds(uint64_t offset, std::span<const std::byte> bytes) {
    return std::equal(bytes.begin(), bytes.end(), mirror_.At(offset, bytes.size()));
  }

  Region& mirror_;
};

class SimTaps : public test::SetFixture {};

TEST_P(SimTaps, AreToldOfWritesWhenTheyArePostedAndBeforeTheyLand) {
  ASSERT_TRUE(Connect().has_value());
  Tap tap(one_->copy.region());
  one_->node.set_tap(&tap);
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{7}).has_value());
  one_->node.set_tap(nullptr);
  EXPECT_EQ(tap.sent, 1U);
  EXPECT_FALSE(tap.landed_at_post);
  EXPECT_THAT(tap.placed, testing::UnorderedElementsAreArray(tap.posted));
  if (GetParam() == 0) {
    EXPECT_THAT(tap.posted, Contains(DataOffset(10)));
  }
}

TEST_P(SimTaps, AreToldOfNoWriteThatTheMirrorsKeysForbid) {
  ASSERT_TRUE(Connect().has_value());
  Tap tap(one_->copy.region());
  one_->node.set_tap(&tap);
  one_->node.StopServing();  // its keys are dead
  ASSERT_TRUE(primary_.Commit(*sink_, 10, std::byte{7}).has_value());
  one_->node.set_tap(nullptr);
  EXPECT_THAT(tap.posted, IsEmpty());
  EXPECT_THAT(tap.placed, IsEmpty());
  EXPECT_THAT(StateOf(0), Not("in-sync"));
}

INSTANTIATE_TEST_SUITE_P(BothWays, SimTaps, test::kBothWays, test::WayName);

}  // namespace
}  // namespace mirdax
