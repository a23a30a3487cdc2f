// SPDX-License-Identifier: BSD-2-Clause
// What others see while a transaction is being closed.
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "fs/base/thread_schedule.h"
#include "tests/unit/core/engine_fixture.h"

namespace mirdax {
namespace {

using test::Engine;

// Looks at every lock and unlock of the thread that has it as its schedule.
class Watcher final : public ThreadSchedule {
 public:
  explicit Watcher(std::function<void()> look) : look_(std::move(look)) {}
  void Step() override {
    if (std::exchange(looking_, true)) return;
    look_();
    looking_ = false;
  }
  void Await(const void*, Obstacle) override { ADD_FAILURE() << "there is nobody to wait for"; }
  void Released(const void*) override {}

 private:
  const std::function<void()> look_;
  bool looking_ = false;
};

TEST(ClosingTest, ASyncWhileATransactionIsBeingClosedWaitsForIt) {
  Engine engine;
  const TxId id = engine.Store(engine.InodeBlock(1), 0, 1);
  int looks = 0;
  Watcher watcher([&] {
    const TransactionStats stats = engine.transactions().stats();
    if (stats.committed >= id) return;
    ++looks;
    EXPECT_GE(stats.newest, id);  // what a sync of anything has to wait for
  });
  thread_schedule = &watcher;
  const Status committed = engine.transactions().Commit(id);
  thread_schedule = nullptr;
  EXPECT_TRUE(committed);
  EXPECT_GT(looks, 16);
}

}  // namespace
}  // namespace mirdax
