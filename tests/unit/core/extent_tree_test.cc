// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/extent_tree.h"

#include <gtest/gtest.h>

#include <random>

#include "fs/format/checksums.h"
#include "tests/unit/core/tree_fixture.h"

namespace mirdax::test {
namespace {

struct Shape {
  uint64_t nodes = 0;
  uint64_t mapped = 0;
  uint64_t extents = 0;
};

// Walks the whole tree through the checked views.
void Measure(MetaReader& reader, const ExtentNodeView& view, Shape& shape) {
  if (view.level() == 0) {
    for (size_t i = 0; i < view.count(); ++i) {
      const Extent& e = view.extents()[i];
      shape.mapped += e.length;
      ++shape.extents;
      if (i == 0) continue;
      const Extent& before = view.extents()[i - 1];
      EXPECT_FALSE(before.file_block + before.length == e.file_block &&
                   before.pool_block + before.length == e.pool_block && before.flags == e.flags)
          << "E1: neighbours that could be one at file block " << e.file_block;
    }
    return;
  }
  for (size_t i = 0; i < view.count(); ++i) {
    ++shape.nodes;
    const NodePlace place = view.ChildPlace(i);
    const auto block = reader.Read(place.self, BlockKind::kNode);
    ASSERT_TRUE(block) << block.error().message;
    const auto child = ExtentNodeView::Of(block->bytes(), place, reader.geometry());
    ASSERT_TRUE(child) << child.error().message;
    Measure(reader, *child, shape);
  }
}

Shape ShapeOf(MetaReader& reader, const InodeDisk& inode) {
  Shape shape;
  const auto root = ExtentNodeView::OfRoot(inode, reader.geometry());
  EXPECT_TRUE(root) << root.error().message;
  if (root) Measure(reader, *root, shape);
  EXPECT_EQ(inode.blocks, shape.nodes + shape.mapped) << "E2";
  return shape;
}

uint16_t LevelOf(const InodeDisk& inode) {
  return reinterpret_cast<const ExtentRoot*>(inode.payload.data())->level;
}

class ExtentTreeTest : public ::testing::Test {
 protected:
  ExtentTree tree() { return ExtentTree(pool_.allocator()); }

  // Maps up to `count` new blocks at `at`; returns what it mapped.
  Extent MapNew(InodeDisk& inode, uint64_t at, uint64_t count, bool unwritten = false) {
    return pool_.Do([&](Tx& tx) {
      const auto run = pool_.allocator().Reserve(count, 0, SpaceUse::kData);
      MIRDAX_CHECK(run.has_value());
      MIRDAX_CHECK(pool_.allocator().Use(tx, *run).has_value());
      const Extent extent{at, run->start, static_cast<uint32_t>(run->length),
                          unwritten ? kExtentUnwritten : 0};
      for (uint64_t done = at; done < at + run->length;) {
        const auto left = static_cast<uint32_t>(at + run->length - done);
        const auto next =
            tree().Map(tx, inode, {done, run->start + (done - at), left, extent.flags});
        EXPECT_TRUE(next) << next.error().message;
        if (!next) break;
        EXPECT_GT(*next, done);
        done = *next;
      }
      MIRDAX_CHECK(pool_.table().Write(tx, inode).has_value());
      return extent;
    });
  }
  void RemoveAll(InodeDisk& inode, uint64_t first, uint64_t end) {
    while (first < end) {
      first = pool_.Do([&](Tx& tx) {
        const auto next = tree().Remove(tx, inode, first, end);
        EXPECT_TRUE(next) << next.error().message;
        MIRDAX_CHECK(pool_.table().Write(tx, inode).has_value());
        return next ? *next : end;
      });
    }
  }
  std::vector<Mapping> Walk(const InodeDisk& inode, uint64_t first, uint64_t end) {
    std::vector<Mapping> all;
    const auto status = ExtentTree::Walk(pool_.reader(), inode, first, end, [&](const Mapping& m) {
      all.push_back(m);
      return true;
    });
    EXPECT_TRUE(status) << status.error().message;
    return all;
  }

  TreeFixture pool_;
};

TEST_F(ExtentTreeTest, AnEmptyFileIsOneHole) {
  const InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  const auto found = ExtentTree::Find(pool_.reader(), inode, 17);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (Mapping{17, kMaxFileBlocks - 17, 0, false}));
}

TEST_F(ExtentTreeTest, BlocksThatFollowEachOtherBecomeOneExtent) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  const auto run = pool_.allocator().Reserve(100, 0, SpaceUse::kData);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->length, 100U);
  pool_.Do([&](Tx& tx) {
    ASSERT_TRUE(pool_.allocator().Use(tx, *run));
    for (uint32_t i = 0; i < 100; ++i)
      ASSERT_TRUE(tree().Map(tx, inode, {i, run->start + i, 1, 0}));
  });
  EXPECT_EQ(Walk(inode, 0, 100), (std::vector<Mapping>{{0, 100, run->start, false}}));
  EXPECT_EQ(ShapeOf(pool_.reader(), inode).extents, 1U);
}

TEST_F(ExtentTreeTest, AnOverwrittenRangeIsFreedAndCutOut) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  const Extent old = MapNew(inode, 10, 10);
  const Extent fresh = MapNew(inode, 13, 2);
  EXPECT_EQ(Walk(inode, 0, 30), (std::vector<Mapping>{{0, 10, 0, false},
                                                      {10, 3, old.pool_block, false},
                                                      {13, 2, fresh.pool_block, false},
                                                      {15, 5, old.pool_block + 5, false},
                                                      {20, 10, 0, false}}));
  EXPECT_EQ(inode.blocks, 10U);
  EXPECT_EQ(pool_.allocator().used, 10U);
}

TEST_F(ExtentTreeTest, PartOfAnUnwrittenExtentBecomesWrittenAndJoinsItsNeighbour) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  const Extent all = MapNew(inode, 0, 30, true);
  const auto set = [&](uint64_t first, uint64_t end) {
    pool_.Do([&](Tx& tx) {
      EXPECT_EQ(tree().SetUnwritten(tx, inode, first, end, false).value_or(0), end);
    });
  };
  set(10, 20);
  EXPECT_EQ(Walk(inode, 0, 30), (std::vector<Mapping>{{0, 10, all.pool_block, true},
                                                      {10, 10, all.pool_block + 10, false},
                                                      {20, 10, all.pool_block + 20, true}}));
  set(20, 30);
  set(0, 10);
  EXPECT_EQ(Walk(inode, 0, 30), (std::vector<Mapping>{{0, 30, all.pool_block, false}}));
}

TEST_F(ExtentTreeTest, AFileOf16TiBWithEverySecondBlockMappedStaysShallow) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  constexpr uint64_t kEnd = (uint64_t{16} << 40) / kBlockSize;
  constexpr uint64_t kExtents = 20000;
  for (uint64_t i = 0; i < kExtents; ++i) MapNew(inode, kEnd - 2 * (kExtents - i), 1);
  MapNew(inode, kMaxFileBlocks - 1, 1);
  const Shape shape = ShapeOf(pool_.reader(), inode);
  EXPECT_EQ(shape.mapped, kExtents + 1);
  EXPECT_LE(LevelOf(inode), 2);
  // A file that grows at its end leaves full nodes behind it.
  EXPECT_LE(shape.nodes, kExtents / kExtentsPerNode + 4);
  RemoveAll(inode, 0, kMaxFileBlocks);
  EXPECT_EQ(inode.blocks, 0U);
  EXPECT_EQ(LevelOf(inode), 0);
  EXPECT_EQ(pool_.allocator().used, 0U);
}

TEST_F(ExtentTreeTest, AWalkEndsWhenToldToAndIsCutToItsRange) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  const Extent extent = MapNew(inode, 10, 10);
  EXPECT_EQ(Walk(inode, 12, 15), (std::vector<Mapping>{{12, 3, extent.pool_block + 2, false}}));
  EXPECT_TRUE(Walk(inode, 12, 12).empty());
  int visits = 0;
  ASSERT_TRUE(ExtentTree::Walk(pool_.reader(), inode, 0, 30, [&](const Mapping&) {
    ++visits;
    return false;
  }));
  EXPECT_EQ(visits, 1);
}

TEST_F(ExtentTreeTest, AFullPoolLeavesTheTreeAsItWas) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  for (uint64_t i = 0; i < 3000; ++i) MapNew(inode, 2 * i, 1);
  std::mt19937_64 random(5);
  int failures = 0;
  for (int i = 0; i < 3000; ++i) {
    const uint64_t at = random() % 6000;
    pool_.allocator().left = 1 + random() % 2;  // the data block, and perhaps one node
    const auto run = pool_.allocator().Reserve(1, 0, SpaceUse::kData);
    ASSERT_TRUE(run);
    const auto before = Walk(inode, 0, 6000);
    const InodeDisk inode_before = inode;
    pool_.Do([&](Tx& tx) {
      const auto mapped = tree().Map(tx, inode, {at, run->start, 1, kExtentUnwritten});
      if (mapped) {
        ASSERT_TRUE(pool_.allocator().Use(tx, *run));
        return;
      }
      ++failures;
      EXPECT_EQ(mapped.error().code, ErrorCode::kNoSpace);
      EXPECT_EQ(inode.blocks, inode_before.blocks);
      EXPECT_TRUE(inode.payload == inode_before.payload);
      EXPECT_TRUE(Walk(inode, 0, 6000) == before);
      pool_.allocator().Unreserve(*run);
    });
    ASSERT_EQ(pool_.allocator().reserved, 0U);
  }
  EXPECT_GT(failures, 10);
  EXPECT_EQ(inode.blocks, pool_.allocator().used);
  ShapeOf(pool_.reader(), inode);
  EXPECT_FALSE(pool_.reader().shut_down());
}

TEST_F(ExtentTreeTest, OneCallFreesBlocksOfFewGroups) {
  TreeFixture large(uint64_t{8} << 30);
  InodeDisk inode = large.NewInode(S_IFREG | 0644);
  ExtentTree extents(large.allocator());
  uint64_t at = 0;
  for (uint64_t group = 0; group + 1 < large.geometry().group_count(); ++group) {
    const BlockNo goal = large.geometry().first_data_block() + group * kBlocksPerGroup;
    large.Do([&](Tx& tx) {
      const auto run = large.allocator().Reserve(1, goal, SpaceUse::kData);
      ASSERT_TRUE(run);
      ASSERT_TRUE(large.allocator().Use(tx, *run));
      ASSERT_TRUE(extents.Map(tx, inode, {at++, run->start, 1, 0}));
    });
  }
  ASSERT_GT(at, 40U);
  int calls = 0;
  for (uint64_t done = 0; done < at; ++calls) {
    const auto next = large.Do([&](Tx& tx) { return extents.Remove(tx, inode, done, at); });
    ASSERT_TRUE(next);
    ASSERT_GT(*next, done);
    EXPECT_LE(*next - done, 16U);
    done = *next;
  }
  EXPECT_GE(calls, 3);
  EXPECT_EQ(inode.blocks, 0U);
}

// --- random operations against a model ---

class ExtentTreeModelTest : public ExtentTreeTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  static constexpr uint64_t kBlocks = 8000;
  struct Cell {
    BlockNo pool_block = 0;
    bool unwritten = false;
    friend bool operator==(const Cell&, const Cell&) = default;
  };

  void Compare(const InodeDisk& inode) {
    std::vector<Cell> seen(kBlocks);
    for (const Mapping& m : Walk(inode, 0, kBlocks))
      for (uint64_t i = 0; i < m.length && !m.hole(); ++i)
        seen[m.file_block + i] = {m.pool_block + i, m.unwritten};
    ASSERT_EQ(seen, model_);
    const Shape shape = ShapeOf(pool_.reader(), inode);
    ASSERT_EQ(shape.nodes + shape.mapped, pool_.allocator().used);
  }

  std::vector<Cell> model_ = std::vector<Cell>(kBlocks);
};

TEST_P(ExtentTreeModelTest, RandomOperationsMatchAModelAndSurviveReopening) {
  SCOPED_TRACE(::testing::Message()
               << "core_test --gtest_filter='*RandomOperations*' seed " << GetParam());
  std::mt19937_64 random(GetParam());
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  uint16_t highest = 0;
  for (int step = 0; step < 30000; ++step) {
    // Phases that mostly fill, and phases that mostly empty.
    const bool filling = step / 5000 % 2 == 0;
    const uint64_t at = random() % kBlocks;
    const uint64_t dice = random() % 100;
    const auto length = [&](uint64_t most) {
      return std::min(kBlocks - at, 1 + random() % (random() % 200 == 0 ? 2000 : most));
    };
    if (dice < (filling ? 70U : 30U)) {
      const bool unwritten = random() % 3 == 0;
      const Extent extent = MapNew(inode, at, length(3), unwritten);
      for (uint64_t i = 0; i < extent.length; ++i)
        model_[at + i] = {extent.pool_block + i, unwritten};
    } else if (dice < 85) {
      const uint64_t end = at + length(filling ? 4 : 40);
      RemoveAll(inode, at, end);
      for (uint64_t i = at; i < end; ++i) model_[i] = {};
    } else {
      const uint64_t end = at + length(30);
      const bool unwritten = random() % 2 == 0;
      for (uint64_t done = at; done < end;) {
        const auto next = pool_.Do([&](Tx& tx) {
          const auto result = tree().SetUnwritten(tx, inode, done, end, unwritten);
          MIRDAX_CHECK(pool_.table().Write(tx, inode).has_value());
          return result;
        });
        ASSERT_TRUE(next) << next.error().message;
        done = *next;
      }
      for (uint64_t i = at; i < end; ++i)
        if (model_[i].pool_block != 0) model_[i].unwritten = unwritten;
    }
    highest = std::max(highest, LevelOf(inode));
    const uint64_t probe = random() % kBlocks;
    const auto found = ExtentTree::Find(pool_.reader(), inode, probe);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->pool_block, model_[probe].pool_block) << "step " << step;
    ASSERT_EQ(found->unwritten, model_[probe].unwritten);
    if (step % 500 == 0) {
      ASSERT_NO_FATAL_FAILURE(Compare(inode)) << "step " << step;
      pool_.Checkpoint();
    }
    if (step % 5000 == 4999) {
      pool_.Reopen();
      const auto again = pool_.table().Read(inode.ino);
      ASSERT_TRUE(again) << again.error().message;
      inode = *again;
      ASSERT_NO_FATAL_FAILURE(Compare(inode)) << "step " << step;
    }
  }
  EXPECT_GE(highest, 2);
  RemoveAll(inode, 0, kBlocks);
  EXPECT_EQ(inode.blocks, 0U);
  EXPECT_EQ(pool_.allocator().used, 0U);
  EXPECT_EQ(pool_.allocator().reserved, 0U);
}
INSTANTIATE_TEST_SUITE_P(Seeds, ExtentTreeModelTest, ::testing::Values(1, 2, 3));

// --- hostile trees ---

class HostileExtentTreeTest : public ExtentTreeTest {
 protected:
  void SetUp() override {
    inode_ = pool_.NewInode(S_IFREG | 0644);
    for (uint64_t i = 0; i < 400; ++i) MapNew(inode_, 2 * i, 1);
    pool_.Checkpoint();
    root_ = reinterpret_cast<ExtentRoot*>(inode_.payload.data());
    ASSERT_EQ(root_->level, 1);
  }
  ExtentNode& Node(size_t child) {
    return *reinterpret_cast<ExtentNode*>(pool_.home(root_->entries[child].pool_block));
  }
  // Every operation says kCorrupt and changes nothing.
  void ExpectCorrupt(uint64_t at) {
    const auto found = ExtentTree::Find(pool_.reader(), inode_, at);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kCorrupt);
    EXPECT_FALSE(found.error().message.empty());
    pool_.Do([&](Tx& tx) {
      const auto removed = tree().Remove(tx, inode_, at, at + 1);
      ASSERT_FALSE(removed);
      EXPECT_EQ(removed.error().code, ErrorCode::kCorrupt);
    });
    EXPECT_FALSE(pool_.reader().shut_down());
  }
  static void Seal(ExtentNode& node) {
    SealBlock(std::span<std::byte, kBlockSize>(reinterpret_cast<std::byte*>(&node), kBlockSize));
  }

  InodeDisk inode_{};
  ExtentRoot* root_ = nullptr;
};

TEST_F(HostileExtentTreeTest, ACycleEndsAtTheFirstWrongLevel) {
  ExtentNode& node = Node(0);
  node.header.level = 1;
  node.header.count = 1;
  node.entries[0] = {0, root_->entries[0].pool_block, 0, 0};
  Seal(node);
  root_->level = 2;
  ExpectCorrupt(0);
}

TEST_F(HostileExtentTreeTest, AnExtentOutsideTheDataAreaIsCorrupt) {
  ExtentNode& node = Node(0);
  node.entries[3].pool_block = 1;
  Seal(node);
  ExpectCorrupt(0);
}

TEST_F(HostileExtentTreeTest, ANodeOfAnotherFileIsCorrupt) {
  ExtentNode& node = Node(0);
  node.header.owner += 1;
  Seal(node);
  ExpectCorrupt(0);
}

TEST_F(HostileExtentTreeTest, ABrokenChecksumIsCorrupt) {
  Node(0).entries[5].length ^= 1;
  ExpectCorrupt(0);
}

TEST_F(HostileExtentTreeTest, ARootThatIsTooHighOrTooFullIsCorrupt) {
  const ExtentRoot good = *root_;
  root_->level = kMaxTreeLevel + 1;
  ExpectCorrupt(0);
  *root_ = good;
  root_->count = kExtentsInRoot + 1;
  ExpectCorrupt(0);
  *root_ = good;
  root_->count = 0;
  ExpectCorrupt(0);
}

}  // namespace
}  // namespace mirdax::test
