// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/engine_fixture.h"

namespace mirdax {
namespace {

using test::Engine;
using test::MemoryPool;

TEST(RecoveryTest, TheTailIsTheCommitWordAfterwardsAndHomeHasEverything) {
  Engine engine;
  const BlockNo block = engine.InodeBlock(2);
  for (uint64_t i = 1; i <= 5; ++i) engine.Store(block, 64 * i, i);
  ASSERT_TRUE(engine.transactions().CommitAll());
  // What a power cut leaves: nothing of home was flushed.
  const auto image = engine.recorder().CrashImage({});
  ASSERT_TRUE(image);
  Engine next(image->bytes());
  EXPECT_EQ(next.private_store().Get().tail, engine.CommitWord());
  for (uint64_t i = 1; i <= 5; ++i) EXPECT_EQ(next.LoadHome(block, 64 * i), i);
}

TEST(RecoveryTest, TheReportSaysHowMuchWasReplayed) {
  Engine engine;
  for (uint64_t i = 1; i <= 3; ++i) {
    engine.Store(engine.InodeBlock(2), 0, i);
    ASSERT_TRUE(engine.transactions().CommitAll());
  }
  const auto report = RecoverPool(engine.pool(), engine.private_store());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->records, 3U);
  EXPECT_EQ(report->from, 0U);
  EXPECT_EQ(report->to, engine.CommitWord());
  EXPECT_EQ(report->bytes, engine.CommitWord());
  const auto again = RecoverPool(engine.pool(), engine.private_store());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->records, 0U);
}

TEST(RecoveryTest, InterruptedAnywhereItStillEndsInTheSameState) {
  Engine engine;
  const BlockNo block = engine.InodeBlock(2);
  for (uint64_t i = 1; i <= 20; ++i) {
    engine.Store(block + i % 3, 64 * (i % 7), i);
    ASSERT_TRUE(engine.transactions().CommitAll());
  }
  const auto crashed = engine.recorder().CrashImage({});
  ASSERT_TRUE(crashed);
  auto recorder = RecorderRegion::Create(crashed->bytes());
  ASSERT_TRUE(recorder);
  RecorderRegion& medium = **recorder;
  auto hooked = std::make_unique<test::HookedRegion>(std::move(*recorder));
  test::HookedRegion& region = *hooked;
  auto pool = MemoryPool::Open(std::move(hooked));
  ASSERT_TRUE(pool);
  auto private_store = PrivateStore::Open(region);
  ASSERT_TRUE(private_store);
  int cuts = 0;
  region.SetHook([&] {
    ++cuts;
    std::vector<LandedLine> some;  // every second line in flight had landed
    for (const uint64_t offset : medium.InFlightLines()) {
      if ((offset / kLineSize + static_cast<uint64_t>(cuts)) % 2 == 0) some.push_back({offset});
    }
    const auto image = medium.CrashImage(some);
    ASSERT_TRUE(image);
    Engine after(image->bytes());
    for (uint64_t i = 0; i < 3; ++i) {
      ASSERT_EQ(std::memcmp(after.region().At((block + i) * kBlockSize, kBlockSize),
                            engine.region().At((block + i) * kBlockSize, kBlockSize), kBlockSize),
                0);
    }
  });
  ASSERT_TRUE(RecoverPool(**pool, **private_store));
  EXPECT_GT(cuts, 20);
}

TEST(RecoveryTest, AMirrorIsRefusedWithWhatToDo) {
  Engine engine;
  ASSERT_TRUE(engine.private_store().Update([](PrivateBlock& b) { b.role = Role::kMirror; }));
  const auto refused = RecoverPool(engine.pool(), engine.private_store());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("mirdax promote"));
  EXPECT_TRUE(RecoverPool(engine.pool(), engine.private_store(), true));
}

TEST(RecoveryTest, ACopyThatWasBeingFilledIsRefused) {
  Engine engine;
  ASSERT_TRUE(
      engine.private_store().Update([](PrivateBlock& b) { b.state = CopyState::kFilling; }));
  EXPECT_FALSE(RecoverPool(engine.pool(), engine.private_store()));
}

TEST(RecoveryTest, ABlankMirrorIsRefusedWhateverIsAsked) {
  FormatOptions options;
  options.mirror = true;
  const auto pool = MemoryPool::Create(kMinPoolSize, options);
  auto private_store = PrivateStore::Open(pool->region());
  ASSERT_TRUE(private_store);
  for (const bool any_role : {false, true}) {
    const auto refused = RecoverPool(*pool, **private_store, any_role);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
  }
}

TEST(RecoveryTest, ACorruptRecordBelowTheCommitWordIsReportedAndTheTailStays) {
  Engine engine;
  engine.Store(engine.InodeBlock(2), 0, 1);
  ASSERT_TRUE(engine.transactions().CommitAll());
  engine.region().memory()[engine.geometry().journal.offset + 100] ^= std::byte{1};
  const auto report = RecoverPool(engine.pool(), engine.private_store());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(engine.private_store().Get().tail, 0U);
}

}  // namespace
}  // namespace mirdax
