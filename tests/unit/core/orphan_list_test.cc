// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/orphan_list.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/unit/core/tree_fixture.h"

namespace mirdax::test {
namespace {

class OrphanListTest : public ::testing::Test {
 protected:
  std::set<Ino> All() {
    std::set<Ino> all;
    for (Ino at = 0;;) {
      const auto next = orphans_.Next(pool_.reader(), at);
      EXPECT_TRUE(next) << next.error().message;
      if (!next || *next == 0) return all;
      EXPECT_GT(*next, at);
      at = *next;
      all.insert(at);
    }
  }
  void Add(Ino ino) {
    InodeDisk inode{};
    inode.ino = ino;
    pool_.Do([&](Tx& tx) { ASSERT_TRUE(orphans_.Add(tx, inode)); });
    EXPECT_EQ(inode.flags, kInodeOrphan);
  }

  // More inodes than one block of bitmap holds, and bits left over in the last one.
  TreeFixture pool_{uint64_t{2064} << 20};
  OrphanList orphans_;
};

TEST_F(OrphanListTest, ANewPoolHasNone) { EXPECT_TRUE(All().empty()); }

TEST_F(OrphanListTest, AnOrphanIsListedUntilItIsRemovedAlsoAfterReopening) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0644);
  pool_.Do([&](Tx& tx) {
    ASSERT_TRUE(orphans_.Add(tx, inode));
    ASSERT_TRUE(orphans_.Add(tx, inode)) << "twice is once";
    ASSERT_TRUE(pool_.table().Write(tx, inode));
  });
  pool_.Reopen();
  EXPECT_EQ(All(), std::set<Ino>{inode.ino});
  EXPECT_EQ(pool_.table().Read(inode.ino)->flags, kInodeOrphan);
  pool_.Do([&](Tx& tx) {
    ASSERT_TRUE(orphans_.Remove(tx, inode));
    ASSERT_TRUE(orphans_.Remove(tx, inode));
    EXPECT_EQ(inode.flags, 0U);
  });
  EXPECT_TRUE(All().empty());
}

TEST_F(OrphanListTest, AnyNumberOfInodesMayBeOrphansInAnyOrder) {
  std::mt19937_64 random(3);
  const uint64_t count = pool_.geometry().inode_count;
  ASSERT_GT(count, kBlockSize * 8);
  std::set<Ino> model{1, 63, 64, 65, 32767, 32768, 32769, count - 1};
  while (model.size() < 20000) model.insert(1 + random() % (count - 1));
  for (const Ino ino : model) Add(ino);
  EXPECT_EQ(All(), model);
  pool_.Reopen();
  for (int i = 0; i < 10000; ++i) {
    const Ino ino = *model.lower_bound(random() % *model.rbegin());
    pool_.Do([&](Tx& tx) { ASSERT_TRUE(orphans_.Drop(tx, ino)); });
    model.erase(ino);
  }
  EXPECT_EQ(All(), model);
}

TEST_F(OrphanListTest, BitsBehindTheLastInodeAreNotInodes) {
  const Geometry& geometry = pool_.geometry();
  const uint64_t blocks = geometry.orphan_bitmap.length / kBlockSize;
  std::byte* last = pool_.home(geometry.orphan_bitmap.offset / kBlockSize + blocks - 1);
  const uint64_t bits = kBlockSize * 8;
  ASSERT_NE(geometry.inode_count % bits, 0U);
  last[geometry.inode_count % bits / 8] = std::byte{0xff};
  for (const Ino ino : All()) EXPECT_LT(ino, geometry.inode_count);
}

}  // namespace
}  // namespace mirdax::test
