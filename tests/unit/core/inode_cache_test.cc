// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/inode_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace mirdax {
namespace {

class InodeCacheTest : public testing::Test {
 protected:
  static constexpr size_t kCapacity = 64;
  std::atomic<int> loads_{0};
  InodeCache cache_{[this](Ino ino) -> Result<InodeDisk> {
                      ++loads_;
                      if (ino == 13) return Fail(ErrorCode::kCorrupt);
                      InodeDisk disk{};
                      disk.ino = ino;
                      disk.size = ino * 10;
                      return disk;
                    },
                    kCapacity};
};

TEST_F(InodeCacheTest, AnInodeIsOneObjectWhileSomebodyHoldsIt) {
  const InodeRef a = *cache_.Get(5);
  const InodeRef b = *cache_.Get(5);
  EXPECT_EQ(a.get(), b.get());
  EXPECT_EQ(loads_, 1);
}

TEST_F(InodeCacheTest, ALoadThatFailsLeavesNothing) {
  EXPECT_FALSE(cache_.Get(13));
  EXPECT_EQ(cache_.size(), 0U);
}

TEST_F(InodeCacheTest, CleanInodesLeaveWhenThereAreTooMany) {
  for (Ino ino = 100; ino < 5000; ++ino) ASSERT_TRUE(cache_.Get(ino));
  EXPECT_LE(cache_.size(), kCapacity + 16);
  loads_ = 0;
  ASSERT_TRUE(cache_.Get(4999));
  EXPECT_EQ(loads_, 0) << "a recent one is still there";
  ASSERT_TRUE(cache_.Get(100));
  EXPECT_EQ(loads_, 1);
}

TEST_F(InodeCacheTest, DirtyInodesStayAndAreListed) {
  const Inode* dirty = nullptr;
  {
    const InodeRef inode = *cache_.Get(7);
    cache_.MarkDirty(*inode);
    cache_.MarkDirty(*inode);
    dirty = inode.get();
  }
  for (Ino ino = 100; ino < 5000; ++ino) ASSERT_TRUE(cache_.Get(ino));
  ASSERT_EQ(cache_.Dirty().size(), 1U);
  EXPECT_EQ(cache_.Get(7)->get(), dirty);
  cache_.MarkClean(*cache_.Dirty().front());
  EXPECT_EQ(cache_.dirty_count(), 0U);
  EXPECT_TRUE(cache_.Dirty().empty());
}

TEST_F(InodeCacheTest, AnInodeThatCameBackRemembersThatItMayHaveChanged) {
  {
    const InodeRef inode = *cache_.Get(7);
    WriteLock lock(inode->mutex);
    inode->last_transaction = 42;
  }
  for (Ino ino = 100; ino < 5000; ++ino) ASSERT_TRUE(cache_.Get(ino));
  loads_ = 0;
  const InodeRef inode = *cache_.Get(7);
  ASSERT_EQ(loads_, 1);
  ReadLock lock(inode->mutex);
  EXPECT_GE(inode->last_transaction, 42U);
}

TEST_F(InodeCacheTest, ADiscardedInodeMakesRoomForItsSuccessor) {
  const InodeRef old = *cache_.Get(9);
  {
    WriteLock lock(old->mutex);
    cache_.Discard(*old);
  }
  const InodeRef fresh = cache_.Create(9);
  EXPECT_NE(fresh.get(), old.get());
  fresh->AssertLocked();
  fresh->mutex.unlock();
  EXPECT_EQ(cache_.Get(9)->get(), fresh.get());
  ReadLock lock(old->mutex);
  EXPECT_TRUE(old->freed);
}

TEST_F(InodeCacheTest, ManyThreadsShareIt) {
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      std::mt19937_64 random(t);
      for (int i = 0; i < 20000; ++i) {
        const Ino ino = 20 + random() % 300;
        const InodeRef inode = *cache_.Get(ino);
        WriteLock lock(inode->mutex);
        ASSERT_EQ(inode->disk.ino, ino);
        if (random() % 4 == 0) cache_.MarkDirty(*inode);
        if (random() % 3 == 0) cache_.MarkClean(*inode);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const InodeRef& inode : cache_.Dirty()) cache_.MarkClean(*inode);
  EXPECT_LE(cache_.size(), kCapacity + 16);
}

}  // namespace
}  // namespace mirdax
