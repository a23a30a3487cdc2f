// SPDX-License-Identifier: BSD-2-Clause
// Runs are made up here: what the oracle makes of them is the point, not how they came about.
#include "tests/crash/orders.h"

#include <gmock/gmock.h>

#include "tests/crash/showing.h"

namespace mirdax::crash {
namespace {

using testing::HasSubstr;

constexpr std::optional<ErrorCode> kSucceeded;

class OrdersTest : public testing::Test {
 protected:
  OrdersTest() {
    for (const char* line : {"create f 0600", "write f 0 8192 1", "mkdir d 0700"}) {
      run_.start.Apply(*ParseOperation(line), 0);
    }
    run_.start.Settle();
  }
  // Number run_.operations.size() + 1; times order all beginnings and returns.
  void Did(std::string_view line, uint64_t begun_at, uint64_t returned_at,
           std::optional<ErrorCode> answer = kSucceeded) {
    run_.operations.push_back({.operation = *ParseOperation(line),
                               .answer = answer,
                               .begun_at = begun_at,
                               .returned_at = returned_at});
  }
  // After the operations with these numbers, in this order.
  State After(const std::vector<uint32_t>& numbers) const {
    State state = run_.start;
    uint32_t index = 0;
    for (const uint32_t number : numbers) {
      state.Apply(run_.operations[number - 1].operation, ++index, SecondsAt(number));
    }
    return state;
  }
  std::string Find() {
    orders_.emplace(run_);
    const Status found = orders_->Find();
    return found ? "found" : found.error().message;
  }
  std::string Judge(const State& state, Moment moment) {
    return orders_->Judge(Showing(state), moment).value_or("legal");
  }

  InterleavedRun run_;
  std::optional<Orders> orders_;
};

TEST_F(OrdersTest, OperationsAtOnceMayHaveHappenedInEitherOrder) {
  Did("chmod f 0640", 0, 2);
  Did("chmod f 0644", 1, 3);
  ASSERT_EQ(Find(), "found");
  EXPECT_EQ(orders_->count(), 2U);
  EXPECT_EQ(Judge(After({1}), {2, 2}), "legal");
  EXPECT_EQ(Judge(After({2}), {2, 2}), "legal");
  EXPECT_EQ(Judge(After({2, 1}), {2, 2}), "legal");
}

TEST_F(OrdersTest, WhatHadReturnedComesBeforeWhatBeginsLater) {
  Did("chown f 7 8", 0, 1);
  Did("chmod f 0644", 2, 3);
  ASSERT_EQ(Find(), "found");
  EXPECT_EQ(orders_->count(), 1U);
  EXPECT_THAT(Judge(After({2}), {2, 2}), HasSubstr("no legal state"));
}

TEST_F(OrdersTest, AnswersDecideTheOrder) {
  Did("unlink f", 0, 2);
  Did("rename f g", 1, 3, ErrorCode::kNotFound);
  ASSERT_EQ(Find(), "found");
  EXPECT_EQ(orders_->count(), 1U);
  EXPECT_THAT(Judge(After({2}), {2, 2}), HasSubstr("/g is there"));
}

TEST_F(OrdersTest, AnswersThatNoOrderExplainsAreAViolation) {
  Did("unlink f", 0, 2);
  Did("unlink f", 1, 3);
  EXPECT_THAT(Find(), HasSubstr("no order of the operations explains the answers"));
}

TEST_F(OrdersTest, TheEndDecidesTheOrderToo) {
  Did("chmod f 0640", 0, 2);
  Did("chown f 7 8", 1, 3);
  run_.end = Showing(After({2, 1}));
  ASSERT_EQ(Find(), "found");
  EXPECT_EQ(Judge(After({2}), {2, 2}), "legal");
  EXPECT_THAT(Judge(After({1}), {2, 2}), HasSubstr("in none of 2 orders"));
}

TEST_F(OrdersTest, AnEndThatNoOrderExplainsIsAViolation) {
  Did("chmod f 0640", 0, 2);
  Did("chown f 7 8", 1, 3);
  run_.end = Showing(After({1}));  // a lost update
  EXPECT_THAT(Find(), HasSubstr("explains what is seen after them"));
}

TEST_F(OrdersTest, UnsyncedBytesAreThereAtTheEndThoughACrashMayLoseThem) {
  Did("write f 0 4096 2", 0, 1);
  run_.end = Showing(run_.start);
  EXPECT_THAT(Find(), HasSubstr("explains what is seen after them"));
  run_.end = Showing(After({1}));
  ASSERT_EQ(Find(), "found");
  EXPECT_EQ(Judge(run_.start, {1, 1}), "legal");
}

TEST_F(OrdersTest, ASyncThatHasReturnedKeepsWhatHadReturnedBeforeIt) {
  Did("chmod d 0711", 0, 1);
  Did("fsyncdir d", 2, 5);
  Did("chmod f 0640", 3, 4);  // beside the sync: covered or not
  ASSERT_EQ(Find(), "found");
  EXPECT_EQ(Judge(run_.start, {3, 3, 0b010}), "legal") << "the sync is under way";
  EXPECT_THAT(Judge(run_.start, {3, 3}), HasSubstr("no legal state"));
  EXPECT_EQ(Judge(After({1}), {3, 3}), "legal");
  EXPECT_EQ(Judge(After({1, 3}), {3, 3}), "legal");
}

TEST_F(OrdersTest, WhatHadNotBegunIsNotThere) {
  Did("chmod f 0640", 0, 3);
  Did("chmod d 0711", 1, 2);
  ASSERT_EQ(Find(), "found");
  EXPECT_EQ(Judge(After({1}), {1, 1, 0b1}), "legal");
  EXPECT_THAT(Judge(After({2}), {1, 1, 0b1}), HasSubstr("no legal state"));
}

}  // namespace
}  // namespace mirdax::crash
