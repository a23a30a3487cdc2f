// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/inode_table.h"

#include <gtest/gtest.h>

#include <cstring>

#include "fs/format/checksums.h"
#include "tests/unit/core/tree_fixture.h"

namespace mirdax::test {
namespace {

class InodeTableTest : public ::testing::Test {
 protected:
  InodeDisk& Home(Ino ino) {
    return *reinterpret_cast<InodeDisk*>(pool_.home(0) + pool_.geometry().InodeOffset(ino));
  }
  ErrorCode ReadError(Ino ino) {
    const auto inode = pool_.table().Read(ino);
    EXPECT_FALSE(inode);
    return inode ? ErrorCode::kInvalid : inode.error().code;
  }

  TreeFixture pool_{uint64_t{64} << 20};
};

TEST_F(InodeTableTest, WhatWasWrittenIsReadBeforeAndAfterTheCommitAndAfterReopening) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0640);
  inode.size = 12345;
  inode.seconds[kMtime] = -5;
  inode.nanoseconds[kMtime] = 999'999'999;
  pool_.Write(inode);
  const auto expect = [&] {
    const auto read = pool_.table().Read(inode.ino);
    ASSERT_TRUE(read) << read.error().message;
    InodeDisk sealed = inode;
    Seal(sealed);
    EXPECT_EQ(std::memcmp(&*read, &sealed, sizeof(sealed)), 0);
  };
  expect();
  pool_.Commit();
  expect();
  pool_.Reopen();
  expect();
}

TEST_F(InodeTableTest, SlotsThatAreFreeOrDoNotExistAreNotFound) {
  EXPECT_EQ(ReadError(0), ErrorCode::kNotFound);
  EXPECT_EQ(ReadError(50), ErrorCode::kNotFound);
  EXPECT_EQ(ReadError(pool_.geometry().inode_count), ErrorCode::kNotFound);
  EXPECT_EQ(ReadError(~Ino{0}), ErrorCode::kNotFound);
  EXPECT_TRUE(pool_.table().Read(kRootIno));
}

TEST_F(InodeTableTest, AClearedSlotKeepsItsGenerationOnly) {
  InodeDisk inode = pool_.NewInode(S_IFREG | 0640);
  inode.generation = 77;
  pool_.Write(inode);
  pool_.Do([&](Tx& tx) { ASSERT_TRUE(pool_.table().Clear(tx, inode.ino)); });
  pool_.Reopen();
  EXPECT_EQ(ReadError(inode.ino), ErrorCode::kNotFound);
  EXPECT_EQ(pool_.table().Generation(inode.ino).value_or(0), 77U);
}

TEST_F(InodeTableTest, AWrongChecksumIsCorruptAndNamesTheInode) {
  const InodeDisk inode = pool_.NewInode(S_IFREG | 0640);
  pool_.Checkpoint();
  pool_.Reopen();
  Home(inode.ino).uid ^= 1;
  const auto read = pool_.table().Read(inode.ino);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(read.error().message.find(std::to_string(inode.ino)), std::string::npos);
}

TEST_F(InodeTableTest, AChangeOfANeighbourHidesNoDamage) {
  const InodeDisk first = pool_.NewInode(S_IFREG | 0640);
  InodeDisk second = pool_.NewInode(S_IFREG | 0640);
  ASSERT_EQ(first.ino / kInodesPerBlock, second.ino / kInodesPerBlock);
  pool_.Checkpoint();
  pool_.Reopen();
  Home(first.ino).uid ^= 1;
  second.size = 1;
  pool_.Write(second);
  EXPECT_EQ(ReadError(first.ino), ErrorCode::kCorrupt);
  EXPECT_TRUE(pool_.table().Read(second.ino));
}

TEST_F(InodeTableTest, ImpossibleFieldsUnderAGoodChecksumAreCorrupt) {
  const InodeDisk good = pool_.NewInode(S_IFDIR | 0755);
  pool_.Checkpoint();
  pool_.Reopen();
  const auto expect_corrupt = [&](const char* what, const std::function<void(InodeDisk&)>& change) {
    InodeDisk& home = Home(good.ino);
    const InodeDisk before = home;
    change(home);
    Seal(home);
    EXPECT_EQ(ReadError(good.ino), ErrorCode::kCorrupt) << what;
    home = before;
  };
  expect_corrupt("ino", [](InodeDisk& i) { i.ino += 1; });
  expect_corrupt("magic", [](InodeDisk& i) { i.magic += 1; });
  expect_corrupt("type", [](InodeDisk& i) { i.mode = 0644; });
  expect_corrupt("mode", [](InodeDisk& i) { i.mode |= 1U << 20; });
  expect_corrupt("flags", [](InodeDisk& i) { i.flags = 1U << 9; });
  expect_corrupt("inline", [](InodeDisk& i) { i.flags = kInodeInlineLink; });
  expect_corrupt("size", [](InodeDisk& i) { i.size = 17; });
  expect_corrupt("large", [](InodeDisk& i) { i.size = kMaxFileSize + kBlockSize; });
  expect_corrupt("blocks", [](InodeDisk& i) { i.blocks = ~uint64_t{0}; });
  expect_corrupt("xattr", [](InodeDisk& i) { i.xattr_block = 1; });
  expect_corrupt("time", [](InodeDisk& i) { i.nanoseconds[kCtime] = 1'000'000'000; });
  expect_corrupt("parent", [](InodeDisk& i) { i.parent = ~Ino{0}; });
  expect_corrupt("zero", [](InodeDisk& i) { i.zero = 1; });
  expect_corrupt("root", [](InodeDisk& i) {
    reinterpret_cast<DirRoot*>(i.payload.data())->root = 2;
    reinterpret_cast<DirRoot*>(i.payload.data())->entry_count = 1;
  });
  expect_corrupt(
      "count", [](InodeDisk& i) { reinterpret_cast<DirRoot*>(i.payload.data())->entry_count = 1; });
  expect_corrupt("link", [](InodeDisk& i) {
    i.mode = S_IFLNK | 0777;
    i.flags = kInodeInlineLink;
    i.size = kInlineSymlinkMax + 1;
  });
}

}  // namespace
}  // namespace mirdax::test
