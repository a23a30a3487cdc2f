// SPDX-License-Identifier: BSD-2-Clause
// Full copies that break off (R7).
#include "tests/unit/replicator/set_fixture.h"

namespace mirdax {
namespace {

class Fill : public test::SetFixture {
 protected:
  // Inodes 16 to 31: a block of the inode table that is copied when one of them is in use, and
  // sent as zeros when none is.
  void StoreInodes(bool in_use) {
    Region& region = primary_.copy.region();
    const Geometry& geometry = primary_.copy.geometry();
    const std::byte bits{static_cast<uint8_t>(in_use ? 0xff : 0)};
    region.Write(geometry.inode_bitmap.offset + 2, {&bits, 1});
    region.Stream(geometry.inode_table.offset + kBlockSize,
                  std::vector<std::byte>(kBlockSize, bits));
    region.Flush(geometry.inode_bitmap.offset, kLineSize);
    MIRDAX_CHECK(region.Drain().has_value());
  }
  static bool StoredOrFlushed(const std::vector<RegionEvent>& log, const PoolRange& range) {
    return std::any_of(log.begin(), log.end(), [&](const RegionEvent& event) {
      return event.kind != RegionEvent::Kind::kDrain && event.offset <= range.offset &&
             event.offset + event.length >= range.end();
    });
  }
  void StoreData(std::byte fill) {
    MarkInUse(40);
    primary_.copy.region().Stream(DataOffset(40), std::vector<std::byte>(kBlockSize, fill));
    MIRDAX_CHECK(primary_.copy.region().Drain().has_value());
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, Fill, test::kBothWays, test::WayName);

TEST_P(Fill, AFillThatIsInterruptedLeavesACopyThatSaysSo) {  // R7
  MarkInUse(40);
  for (size_t deliveries = 0; deliveries < 8; ++deliveries) {
    one_->node.set_cut(false);
    ASSERT_TRUE(one_->Restart().has_value());
    one_->node.CutAfter(deliveries);
    EXPECT_FALSE(Connect().has_value());
    EXPECT_EQ(one_->copy.store->Get().state, CopyState::kFilling);
    EXPECT_FALSE(RecoverPool(*one_->copy.pool, *one_->copy.store).has_value());
  }
  one_->node.set_cut(false);
  one_->node.CutAfter(SIZE_MAX);
  ASSERT_TRUE(one_->Restart().has_value());
  EXPECT_TRUE(Connect().has_value());
  EXPECT_EQ(StateOf(0), "in-sync");
}

TEST_P(Fill, AFillAfterAnInterruptedOneInTheSameDaemonEndsInSyncAndEqual) {
  const Geometry& geometry = primary_.copy.geometry();
  size_t interrupted = 0;
  one_->copy.region().StartLog();
  for (size_t deliveries = 0;; ++deliveries) {
    StoreInodes(true);
    ASSERT_TRUE(Connect().has_value());
    StoreInodes(false);
    StoreData(static_cast<std::byte>(deliveries + 1));
    one_->node.CutAfter(deliveries);
    const bool whole = Connect().has_value();
    one_->node.set_cut(false);
    one_->node.CutAfter(SIZE_MAX);
    if (whole) break;
    ++interrupted;
    (void)one_->copy.region().TakeLog();  // from here on
    const Status again = Connect();
    // What reads as zero already may be in flight still: this fill answers for it.
    const PoolRange zeros{geometry.inode_table.offset + kBlockSize, kBlockSize};
    EXPECT_TRUE(StoredOrFlushed(one_->copy.region().TakeLog(), zeros));
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(StateOf(0), "in-sync");
    for (const PoolRange& range :
         {geometry.block_bitmap, geometry.inode_bitmap, geometry.orphan_bitmap,
          geometry.inode_table, PoolRange{DataOffset(40), kBlockSize}})
      ASSERT_EQ(one_->copy.Durable(range.offset, range.length),
                primary_.copy.Durable(range.offset, range.length))
          << "cut after " << deliveries << " deliveries, at " << range.offset;
    EXPECT_TRUE(primary_.Commit(*sink_, 50, std::byte{9}).has_value());
    EXPECT_EQ(one_->copy.commit(), primary_.copy.commit());
  }
  EXPECT_GT(interrupted, 5U);
}

}  // namespace
}  // namespace mirdax
