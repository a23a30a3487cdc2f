// SPDX-License-Identifier: BSD-2-Clause
#include "tools/ctl/promote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/core/recovery.h"
#include "fs/pmem/recorder_region.h"
#include "tests/support/pool_image.h"
#include "tools/fsck/check.h"

namespace mirdax::ctl {
namespace {

using test::MemoryPool;
using test::PoolImage;

// A mirror copy with a record that its daemon has not applied: it gives `file` link count 2.
class Promotion : public testing::Test {
 protected:
  Promotion() {
    sample_ = image_.AddSample();
    InodeDisk& inode = image_.Inode(sample_.file);
    const auto whole = std::as_bytes(std::span(&inode, 1));
    const std::vector<std::byte> good(whole.begin(), whole.end());
    inode.nlink = 1;
    image_.SealInode(sample_.file);
    image_.Append(std::array{PoolImage::Change{image_.geometry().InodeOffset(sample_.file), good}});
    Private().role = Role::kMirror;
    Private().members[0].state = MemberState::kInSync;
    Private().members[0].copy_uuid[0] = 1;
    image_.SealPrivateBlocks();
  }

  PrivateBlock& Private() { return image_.At<PrivateBlock>(kPrivateBlockOffset); }

  Result<PromoteReport> Run(bool force = false) {
    auto store = PrivateStore::Open(image_.region());
    if (!store) return Fail(store.error());
    return Promote(image_.pool(), **store, force, clock_, random_);
  }

  PrivateBlock Now() { return (*PrivateStore::Open(image_.region()))->Get(); }

  PoolImage image_;
  PoolImage::Sample sample_;
  SystemClock clock_;
  SeededRandom random_{7};
};

TEST_F(Promotion, OfAMirrorMakesAPrimaryInANewEpochWithoutMembers) {
  const auto report = Run();
  ASSERT_TRUE(report) << report.error().message;
  const PrivateBlock block = Now();
  EXPECT_EQ(block.role, Role::kPrimary);
  EXPECT_EQ(block.state, CopyState::kConsistent);
  EXPECT_EQ(report->epoch.number, report->before.number + 1);
  EXPECT_NE(report->epoch.id, report->before.id);
  EXPECT_EQ(CurrentEpoch(block), report->epoch);
  EXPECT_EQ(block.history[block.history_count - 1].start, report->commit);
  EXPECT_EQ(block.members[0].state, MemberState::kNone);
  EXPECT_EQ(block.clean, 0U);
}

TEST_F(Promotion, AppliesTheJournalFirst) {
  const auto report = Run();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->records_replayed, 1U);
  EXPECT_EQ(Now().tail, report->commit);
  EXPECT_EQ(image_.Inode(sample_.file).nlink, 2U);
  EXPECT_TRUE(fsck::CheckPool(image_.region())->clean());
}

TEST_F(Promotion, OfAPrimaryIsRefusedAndChangesNothing) {
  Private().role = Role::kPrimary;
  image_.SealPrivateBlocks();
  const auto report = Run(true);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(report.error().message, testing::HasSubstr("is a primary already"));
  EXPECT_EQ(Now().sequence, 1U);
}

TEST_F(Promotion, OfACopyThatIsBeingFilledNeedsForce) {  // R7
  Private().state = CopyState::kFilling;
  image_.SealPrivateBlocks();
  const auto refused = Run();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("--force"));
  EXPECT_EQ(Now().state, CopyState::kFilling);
  const auto forced = Run(true);
  ASSERT_TRUE(forced) << forced.error().message;
  EXPECT_TRUE(forced->forced);
  EXPECT_EQ(Now().role, Role::kPrimary);
}

TEST_F(Promotion, OfAWitnessIsRefused) {
  Private().role = Role::kWitness;
  image_.SealPrivateBlocks();
  EXPECT_FALSE(Run(true));
}

TEST_F(Promotion, OfABlankMirrorIsRefusedEvenByForce) {
  FormatOptions options;
  options.mirror = true;
  const auto pool = MemoryPool::Create(kMinPoolSize, options);
  const auto store = PrivateStore::Open(pool->region());
  ASSERT_TRUE(store);
  const auto report = Promote(*pool, **store, true, clock_, random_);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, testing::HasSubstr("never filled"));
}

TEST_F(Promotion, OfAMirrorCutOffInItsFirstFillIsRefusedEvenByForce) {
  FormatOptions options;
  options.mirror = true;
  const auto pool = MemoryPool::Create(kMinPoolSize, options);
  const auto store = PrivateStore::Open(pool->region());
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->Update([](PrivateBlock& block) { block.state = CopyState::kFilling; }));
  const auto report = Promote(*pool, **store, true, clock_, random_);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, testing::HasSubstr("first fill was cut off"));
  // Nor can it be mounted.
  const auto recovered = RecoverPool(*pool, **store);
  ASSERT_FALSE(recovered);
  EXPECT_THAT(recovered.error().message, testing::HasSubstr("first fill was cut off"));
}

TEST_F(Promotion, WithADamagedJournalLeavesAMirror) {
  image_.At<uint8_t>(image_.geometry().journal.offset + 100) ^= 1;
  const auto report = Run(true);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Now().role, Role::kMirror);
}

// P1 (R6): whatever a power cut leaves is a mirror that can be promoted, or the new primary.
TEST_F(Promotion, CutShortAnywhereLeavesAMirrorOrAPrimary) {
  bool completed = false;
  for (uint64_t drain = 1; !completed; ++drain) {
    ASSERT_LT(drain, 20U);
    auto recorder = RecorderRegion::Create(image_.region().memory());
    ASSERT_TRUE(recorder);
    RecorderRegion& region = **recorder;
    auto pool = MemoryPool::Open(std::move(*recorder));
    ASSERT_TRUE(pool);
    auto store = PrivateStore::Open(region);
    ASSERT_TRUE(store);
    region.FailDrain(drain, true);
    completed = Promote(**pool, **store, false, clock_, random_).has_value();

    // Nothing of what is in flight, all of it, and every other line.
    std::vector<LandedLine> all;
    std::vector<LandedLine> some;
    for (const uint64_t line : region.InFlightLines()) {
      all.push_back({line});
      if (all.size() % 2 == 0) some.push_back({line});
    }
    for (const auto& landed : {std::vector<LandedLine>{}, all, some}) {
      auto mapping = region.CrashImage(landed);
      ASSERT_TRUE(mapping);
      auto after = RecorderRegion::Create(mapping->bytes());
      ASSERT_TRUE(after);
      RecorderRegion& image = **after;
      auto pool_after = MemoryPool::Open(std::move(*after));
      ASSERT_TRUE(pool_after);
      auto store_after = PrivateStore::Open(image);
      ASSERT_TRUE(store_after) << store_after.error().message;
      const PrivateBlock block = (*store_after)->Get();
      if (completed) {
        EXPECT_EQ(block.role, Role::kPrimary) << "a promotion that was reported is durable";
      }
      if (block.role == Role::kMirror) {
        EXPECT_EQ(CurrentEpoch(block).number, 1U);
        EXPECT_EQ(block.members[0].state, MemberState::kInSync);
        ASSERT_TRUE(Promote(**pool_after, **store_after, false, clock_, random_));
      } else {
        EXPECT_EQ(CurrentEpoch(block).number, 2U);
        EXPECT_EQ(block.members[0].state, MemberState::kNone);
      }
      const auto checked = fsck::CheckPool(image);
      ASSERT_TRUE(checked);
      EXPECT_TRUE(checked->clean());
    }
  }
}

}  // namespace
}  // namespace mirdax::ctl
