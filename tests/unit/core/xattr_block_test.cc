// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/xattr_block.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "fs/format/checksums.h"
#include "tests/unit/core/tree_fixture.h"

namespace mirdax::test {
namespace {

constexpr auto kUser = XattrNamespace::kUser;

class XattrBlockTest : public ::testing::Test {
 protected:
  void SetUp() override { inode_ = pool_.NewInode(S_IFREG | 0644); }

  Status Set(XattrNamespace space, std::string_view name, std::string_view value) {
    return pool_.Do([&](Tx& tx) {
      auto status = XattrBlock(pool_.allocator()).Set(tx, inode_, space, name, value);
      MIRDAX_CHECK(pool_.table().Write(tx, inode_).has_value());
      return status;
    });
  }
  Status Remove(XattrNamespace space, std::string_view name) {
    return pool_.Do([&](Tx& tx) {
      auto status = XattrBlock(pool_.allocator()).Remove(tx, inode_, space, name);
      MIRDAX_CHECK(pool_.table().Write(tx, inode_).has_value());
      return status;
    });
  }
  Result<std::string> Get(XattrNamespace space, std::string_view name) {
    return XattrBlock::Get(pool_.reader(), inode_, space, name);
  }

  TreeFixture pool_{uint64_t{64} << 20};
  InodeDisk inode_{};
};

TEST_F(XattrBlockTest, TheBlockComesWithTheFirstAttributeAndGoesWithTheLast) {
  EXPECT_EQ(Get(kUser, "a").error().code, ErrorCode::kNoData);
  EXPECT_EQ(Remove(kUser, "a").error().code, ErrorCode::kNoData);
  EXPECT_TRUE(XattrBlock::List(pool_.reader(), inode_)->empty());
  ASSERT_TRUE(Set(kUser, "a", "1"));
  EXPECT_NE(inode_.xattr_block, 0U);
  EXPECT_EQ(inode_.blocks, 1U);
  ASSERT_TRUE(Set(XattrNamespace::kAclAccess, "", "acl"));
  ASSERT_TRUE(Remove(kUser, "a"));
  EXPECT_EQ(Get(XattrNamespace::kAclAccess, "").value_or(""), "acl");
  ASSERT_TRUE(Remove(XattrNamespace::kAclAccess, ""));
  EXPECT_EQ(inode_.xattr_block, 0U);
  EXPECT_EQ(inode_.blocks, 0U);
  EXPECT_EQ(pool_.allocator().used, 0U);
}

TEST_F(XattrBlockTest, OneNameInTwoNamespacesIsTwoAttributes) {
  ASSERT_TRUE(Set(kUser, "n", "user"));
  ASSERT_TRUE(Set(XattrNamespace::kTrusted, "n", "trusted"));
  EXPECT_EQ(Get(kUser, "n").value_or(""), "user");
  EXPECT_EQ(Get(XattrNamespace::kTrusted, "n").value_or(""), "trusted");
  EXPECT_EQ(*XattrBlock::List(pool_.reader(), inode_),
            (std::vector<XattrName>{{kUser, "n"}, {XattrNamespace::kTrusted, "n"}}));
}

TEST_F(XattrBlockTest, WhatDoesNotFitIsNoSpaceAndChangesNothing) {
  ASSERT_TRUE(Set(kUser, "small", "value"));
  EXPECT_EQ(Set(kUser, "big", std::string(4040, 'x')).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(Set(kUser, "small", std::string(70000, 'x')).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(Get(kUser, "small").value_or(""), "value");
  ASSERT_TRUE(Set(kUser, "small", std::string(kXattrSpace - sizeof(XattrEntry) - 5, 'y')));
  EXPECT_EQ(Get(kUser, "small")->size(), kXattrSpace - sizeof(XattrEntry) - 5);
  EXPECT_EQ(Set(kUser, "b", "").error().code, ErrorCode::kNoSpace);
}

TEST_F(XattrBlockTest, AFullPoolChangesNothing) {
  pool_.allocator().left = 0;
  EXPECT_EQ(Set(kUser, "a", "1").error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(inode_.xattr_block, 0U);
  EXPECT_EQ(inode_.blocks, 0U);
}

TEST_F(XattrBlockTest, TheBlockOfAFreedInodeIsFreed) {
  ASSERT_TRUE(Set(kUser, "a", "1"));
  pool_.Do([&](Tx& tx) {
    ASSERT_TRUE(XattrBlock(pool_.allocator()).RemoveAll(tx, inode_));
    ASSERT_TRUE(XattrBlock(pool_.allocator()).RemoveAll(tx, inode_));
  });
  EXPECT_EQ(inode_.xattr_block, 0U);
  EXPECT_EQ(pool_.allocator().used, 0U);
}

TEST_F(XattrBlockTest, ADamagedBlockIsCorrupt) {
  ASSERT_TRUE(Set(kUser, "a", "1"));
  pool_.Checkpoint();
  pool_.Reopen();
  auto* entry = reinterpret_cast<XattrEntry*>(pool_.home(inode_.xattr_block) + sizeof(BlockHeader));
  entry->value_length = 60000;
  SealBlock(std::span<std::byte, kBlockSize>(pool_.home(inode_.xattr_block), kBlockSize));
  EXPECT_EQ(Get(kUser, "a").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(XattrBlock::List(pool_.reader(), inode_).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Set(kUser, "a", "2").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Remove(kUser, "a").error().code, ErrorCode::kCorrupt);
}

TEST_F(XattrBlockTest, RandomOperationsMatchAModelAndSurviveReopening) {
  std::mt19937_64 random(4);
  std::map<std::pair<int, std::string>, std::string> model;
  int full = 0;
  for (int step = 0; step < 20000; ++step) {
    const auto space = static_cast<XattrNamespace>(1 + random() % 5);
    const bool acl = space >= XattrNamespace::kAclAccess;
    const std::string name = acl ? "" : "name" + std::to_string(random() % 12);
    const std::pair key(static_cast<int>(space), name);
    if (random() % 3 != 0) {
      const std::string value(random() % 300, static_cast<char>(random()));
      const auto status = Set(space, name, value);
      if (status) {
        model[key] = value;
      } else {
        ASSERT_EQ(status.error().code, ErrorCode::kNoSpace);
        ++full;
      }
    } else {
      ASSERT_EQ(Remove(space, name).has_value(), model.erase(key) == 1);
    }
    if (step % 1000 == 999) {
      pool_.Reopen();
      inode_ = *pool_.table().Read(inode_.ino);
    }
    ASSERT_EQ(XattrBlock::List(pool_.reader(), inode_)->size(), model.size());
    for (const auto& [known, value] : model)
      ASSERT_EQ(Get(static_cast<XattrNamespace>(known.first), known.second).value_or("?"), value);
  }
  EXPECT_GT(full, 0);
}

}  // namespace
}  // namespace mirdax::test
