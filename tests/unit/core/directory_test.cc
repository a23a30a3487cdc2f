// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/directory.h"

#include <dirent.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "fs/core/directory_editor.h"
#include "fs/format/checksums.h"
#include "tests/unit/core/tree_fixture.h"

namespace mirdax::test {
namespace {

constexpr HashSeed kSeed{7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

const DirRoot& RootOf(const InodeDisk& dir) {
  return *reinterpret_cast<const DirRoot*>(dir.payload.data());
}

struct Shape {
  uint64_t blocks = 0;
  uint64_t entries = 0;
  uint16_t level = 0;
};

// Walks the whole tree through the checked views.
void Measure(MetaReader& reader, const NodePlace& place, Shape& shape) {
  ++shape.blocks;
  const auto block = reader.Read(place.self, BlockKind::kNode);
  ASSERT_TRUE(block) << block.error().message;
  if (place.level == 0) {
    const auto leaf = DirLeafView::Of(block->bytes(), place, reader.geometry());
    ASSERT_TRUE(leaf) << leaf.error().message;
    shape.entries += leaf->count();
    return;
  }
  const auto node = DirIndexView::Of(block->bytes(), place, reader.geometry());
  ASSERT_TRUE(node) << node.error().message;
  for (size_t i = 0; i < node->entries().size(); ++i) Measure(reader, node->ChildPlace(i), shape);
}

Shape ShapeOf(MetaReader& reader, const InodeDisk& dir) {
  Shape shape;
  const BlockNo root = RootOf(dir).root;
  if (root != 0) {
    const auto block = reader.Read(root, BlockKind::kNode);
    EXPECT_TRUE(block);
    const auto place = DirRootPlace(block->bytes(), root, dir.ino);
    EXPECT_TRUE(place);
    shape.level = place->level;
    Measure(reader, *place, shape);
  }
  EXPECT_EQ(dir.blocks, shape.blocks) << "D2";
  EXPECT_EQ(dir.size, shape.blocks * kBlockSize) << "D2";
  EXPECT_EQ(Directory::EntryCount(dir), shape.entries);
  return shape;
}

class DirectoryTest : public ::testing::Test {
 protected:
  explicit DirectoryTest(uint64_t pool_size = uint64_t{512} << 20) : pool_(pool_size) {}

  Directory names() { return Directory(pool_.allocator(), kSeed); }
  Result<DirKey> Insert(InodeDisk& dir, std::string_view name, Ino ino, uint8_t type = DT_REG) {
    return pool_.Do([&](Tx& tx) {
      auto key = names().Insert(tx, dir, name, ino, type);
      MIRDAX_CHECK(pool_.table().Write(tx, dir).has_value());
      return key;
    });
  }
  Result<DirSlot> Remove(InodeDisk& dir, std::string_view name) {
    return pool_.Do([&](Tx& tx) {
      auto slot = names().Remove(tx, dir, name);
      MIRDAX_CHECK(pool_.table().Write(tx, dir).has_value());
      return slot;
    });
  }
  Result<DirSlot> Lookup(const InodeDisk& dir, std::string_view name) {
    return names().Lookup(pool_.reader(), dir, name);
  }
  std::vector<DirName> List(const InodeDisk& dir, size_t batch = 100) {
    std::vector<DirName> all;
    for (DirKey cookie = 0;;) {
      auto next = names().Next(pool_.reader(), dir, cookie, batch);
      EXPECT_TRUE(next) << next.error().message;
      if (!next || next->empty()) return all;
      cookie = next->back().slot.key;
      all.insert(all.end(), next->begin(), next->end());
    }
  }

  TreeFixture pool_;
};

TEST_F(DirectoryTest, AnEmptyDirectoryHasNoBlocksAndNoNames) {
  const InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  EXPECT_EQ(Lookup(dir, "x").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(List(dir).empty());
  EXPECT_EQ(ShapeOf(pool_.reader(), dir).blocks, 0U);
}

TEST_F(DirectoryTest, ANameIsFoundUntilItIsRemoved) {
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  const auto key = Insert(dir, "one", 11, DT_DIR);
  ASSERT_TRUE(key);
  EXPECT_EQ(Insert(dir, "one", 12).error().code, ErrorCode::kExists);
  const auto slot = Lookup(dir, "one");
  ASSERT_TRUE(slot);
  EXPECT_EQ(slot->ino, 11U);
  EXPECT_EQ(slot->type, DT_DIR);
  EXPECT_EQ(slot->key, *key);
  ASSERT_TRUE(Remove(dir, "one"));
  EXPECT_EQ(Remove(dir, "one").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ShapeOf(pool_.reader(), dir).blocks, 0U);
  EXPECT_EQ(pool_.allocator().used, 0U);
}

TEST_F(DirectoryTest, AReplacedNameKeepsItsCookie) {
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  const auto key = Insert(dir, "name", 5);
  pool_.allocator().left = 0;
  pool_.Do([&](Tx& tx) {
    const auto old = names().Replace(tx, dir, "name", 6, DT_LNK);
    ASSERT_TRUE(old);
    EXPECT_EQ(old->ino, 5U);
    EXPECT_EQ(names().Replace(tx, dir, "none", 6, DT_LNK).error().code, ErrorCode::kNotFound);
  });
  const auto slot = Lookup(dir, "name");
  EXPECT_EQ(slot->ino, 6U);
  EXPECT_EQ(slot->type, DT_LNK);
  EXPECT_EQ(slot->key, *key);
}

TEST_F(DirectoryTest, NamesOfEveryLengthAndByteAreKept) {
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  std::set<std::string> all;
  for (size_t length = 1; length <= kMaxNameLength; ++length) {
    std::string name;
    for (size_t i = 0; i < length; ++i) {
      const auto c = static_cast<char>(1 + (length * 31 + i * 7) % 255);
      name += c == '/' ? 'x' : c;
    }
    if (name == "." || name == "..") continue;
    ASSERT_TRUE(Insert(dir, name, 3 + length));
    all.insert(name);
  }
  std::set<std::string> listed;
  for (const DirName& name : List(dir, 7)) listed.insert(name.name);
  EXPECT_EQ(listed, all);
}

TEST_F(DirectoryTest, NamesWithOneHashAreToldApartUntilThereAreTooMany) {
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  const std::string name = "the name";
  const DirKey hash = DirHash(kSeed, name);
  // Others with the same hash, as found by somebody patient: long, so that they fill many leaves.
  const auto add = [&](DirKey key) {
    const std::string other = std::string(200, 'x') + std::to_string(key);
    pool_.Do([&](Tx& tx) {
      DirectoryEditor editor(tx, pool_.allocator(), dir);
      ASSERT_TRUE(editor.Load(key));
      ASSERT_TRUE(editor.Insert({key, 9, DT_REG, other}));
      ASSERT_TRUE(editor.Apply(dir, 1));
    });
  };
  for (DirKey n = 0; n < kDirCollisions; ++n)
    if (n != 100) add(hash + n);
  EXPECT_GT(ShapeOf(pool_.reader(), dir).blocks, 10U);
  EXPECT_EQ(Insert(dir, name, 4).value_or(0), hash + 100);
  EXPECT_EQ(Lookup(dir, name)->key, hash + 100);
  ASSERT_TRUE(Remove(dir, name));
  EXPECT_EQ(Lookup(dir, name).error().code, ErrorCode::kNotFound);
  add(hash + 100);
  EXPECT_EQ(Insert(dir, name, 4).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(Directory::EntryCount(dir), kDirCollisions);
}

TEST_F(DirectoryTest, AReaderSeesWhatStaysExactlyOnceWhileOthersComeAndGo) {
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  std::mt19937_64 random(11);
  std::set<std::string> stay;
  for (int i = 0; i < 3000; ++i) {
    stay.insert("stay" + std::to_string(i));
    ASSERT_TRUE(Insert(dir, "stay" + std::to_string(i), 5));
  }
  std::vector<std::string> others;
  std::map<std::string, int> seen;
  int made = 0;
  for (DirKey cookie = 0;;) {
    const auto batch = names().Next(pool_.reader(), dir, cookie, 1 + random() % 20);
    ASSERT_TRUE(batch);
    if (batch->empty()) break;
    for (const DirName& name : *batch) {
      EXPECT_GT(name.slot.key, cookie);
      cookie = name.slot.key;
      ++seen[name.name];
    }
    for (int i = 0; i < 40; ++i) {
      if (random() % 2 == 0 || others.empty()) {
        others.push_back("other" + std::string(random() % 100, 'y') + std::to_string(made++));
        ASSERT_TRUE(Insert(dir, others.back(), 6));
      } else {
        std::swap(others[random() % others.size()], others.back());
        ASSERT_TRUE(Remove(dir, others.back()));
        others.pop_back();
      }
    }
  }
  for (const std::string& name : stay) EXPECT_EQ(seen[name], 1) << name;
  for (const auto& [name, times] : seen) EXPECT_EQ(times, 1) << name;
}

TEST_F(DirectoryTest, AFullPoolLeavesTheDirectoryAsItWas) {
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  int failures = 0;
  for (int i = 0; i < 20000 && failures < 50; ++i) {
    const std::string name = "file" + std::to_string(i);
    pool_.allocator().left = i % 3 == 0 ? 0 : 1;
    const InodeDisk before = dir;
    const auto key = Insert(dir, name, 5);
    EXPECT_EQ(pool_.allocator().reserved, 0U);
    if (key) continue;
    ++failures;
    EXPECT_EQ(key.error().code, ErrorCode::kNoSpace);
    EXPECT_TRUE(dir.payload == before.payload && dir.size == before.size);
    EXPECT_EQ(Lookup(dir, name).error().code, ErrorCode::kNotFound);
    pool_.allocator().left = 10;
    ASSERT_TRUE(Insert(dir, name, 5));
  }
  EXPECT_GE(failures, 50);
  ShapeOf(pool_.reader(), dir);
  // Removal needs no space at all.
  pool_.allocator().left = 0;
  for (const DirName& name : List(dir)) ASSERT_TRUE(Remove(dir, name.name));
  EXPECT_EQ(pool_.allocator().used, 0U);
}

// --- random operations against a model ---

class DirectoryModelTest : public DirectoryTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  void Compare(const InodeDisk& dir) {
    const auto listed = List(dir, 64);
    ASSERT_EQ(listed.size(), model_.size());
    ASSERT_TRUE(std::is_sorted(listed.begin(), listed.end(), [](const auto& a, const auto& b) {
      return a.slot.key < b.slot.key;
    }));
    for (const DirName& name : listed) {
      const auto expected = model_.find(name.name);
      ASSERT_NE(expected, model_.end()) << name.name;
      EXPECT_EQ(expected->second.ino, name.slot.ino);
      EXPECT_EQ(expected->second.type, name.slot.type);
      EXPECT_EQ(expected->second.key, name.slot.key) << "D1";
    }
    ASSERT_EQ(ShapeOf(pool_.reader(), dir).blocks, pool_.allocator().used);
  }

  std::map<std::string, DirSlot> model_;
};

TEST_P(DirectoryModelTest, RandomOperationsMatchAModelAndSurviveReopening) {
  SCOPED_TRACE(::testing::Message()
               << "core_test --gtest_filter='*DirectoryModel*' seed " << GetParam());
  std::mt19937_64 random(GetParam());
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  uint16_t highest = 0;
  const auto name_of = [](uint64_t n) {
    return std::to_string(n) + std::string(n * 37 % 240, static_cast<char>('a' + n % 26));
  };
  for (int step = 0; step < 80000; ++step) {
    const bool filling = step / 20000 % 2 == 0;
    const std::string name = name_of(random() % 20000);
    const uint64_t dice = random() % 100;
    const Ino ino = 2 + random() % 1000;
    const uint8_t type = random() % 2 == 0 ? DT_REG : DT_DIR;
    const auto known = model_.find(name);
    if (dice < (filling ? 75U : 15U)) {
      const auto key = Insert(dir, name, ino, type);
      if (known == model_.end()) {
        ASSERT_TRUE(key) << key.error().message;
        model_[name] = {ino, type, *key};
      } else {
        ASSERT_EQ(key.error().code, ErrorCode::kExists);
      }
    } else if (dice < 90) {
      const auto slot = Remove(dir, name);
      ASSERT_EQ(slot.has_value(), known != model_.end());
      if (slot) {
        ASSERT_EQ(slot->ino, known->second.ino);
        model_.erase(known);
      }
    } else {
      const auto old = pool_.Do([&](Tx& tx) { return names().Replace(tx, dir, name, ino, type); });
      ASSERT_EQ(old.has_value(), known != model_.end());
      if (old) known->second = {ino, type, known->second.key};
    }
    const std::string probe = name_of(random() % 20000);
    ASSERT_EQ(Lookup(dir, probe).has_value(), model_.contains(probe));
    if (step % 2000 == 0) {
      ASSERT_NO_FATAL_FAILURE(Compare(dir)) << "step " << step;
      highest = std::max(highest, ShapeOf(pool_.reader(), dir).level);
      pool_.Checkpoint();
    }
    if (step % 20000 == 19999) {
      pool_.Reopen();
      const auto again = pool_.table().Read(dir.ino);
      ASSERT_TRUE(again) << again.error().message;
      dir = *again;
      ASSERT_NO_FATAL_FAILURE(Compare(dir)) << "step " << step;
    }
  }
  EXPECT_GE(highest, 2);
  while (!model_.empty()) {
    ASSERT_TRUE(Remove(dir, model_.begin()->first));
    model_.erase(model_.begin());
  }
  EXPECT_EQ(ShapeOf(pool_.reader(), dir).blocks, 0U);
  EXPECT_EQ(pool_.allocator().used, 0U);
}
INSTANTIATE_TEST_SUITE_P(Seeds, DirectoryModelTest, ::testing::Values(1, 2));

class LargeDirectoryTest : public DirectoryTest {
 protected:
  LargeDirectoryTest() : DirectoryTest(uint64_t{2} << 30) {}
};

// Sanitizers make a name cost ten times as much.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // gcc
constexpr uint64_t kNames = 100'000;
#elif defined(__has_feature)  // clang
constexpr uint64_t kNames = __has_feature(address_sanitizer) ? 100'000 : 1'000'000;
#else
constexpr uint64_t kNames = 1'000'000;
#endif

TEST_F(LargeDirectoryTest, AMillionNamesMakeATreeOfThreeLevels) {
  InodeDisk dir = pool_.NewInode(S_IFDIR | 0755);
  for (uint64_t i = 0; i < kNames; ++i) ASSERT_TRUE(Insert(dir, "file" + std::to_string(i), 2));
  const Shape shape = ShapeOf(pool_.reader(), dir);
  EXPECT_EQ(shape.entries, kNames);
  EXPECT_LE(shape.level, 2);
  for (uint64_t i = 0; i < kNames; i += 7) ASSERT_TRUE(Lookup(dir, "file" + std::to_string(i)));
  EXPECT_EQ(List(dir, 1000).size(), kNames);
  for (uint64_t i = 0; i < kNames; ++i) ASSERT_TRUE(Remove(dir, "file" + std::to_string(i)));
  EXPECT_EQ(ShapeOf(pool_.reader(), dir).blocks, 0U);
}

// --- hostile trees ---

class HostileDirectoryTest : public DirectoryTest {
 protected:
  void SetUp() override {
    dir_ = pool_.NewInode(S_IFDIR | 0755);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(Insert(dir_, "file" + std::to_string(i), 5));
    pool_.Checkpoint();
    ASSERT_EQ(ShapeOf(pool_.reader(), dir_).level, 1);
  }
  DirIndexNode& root() { return *reinterpret_cast<DirIndexNode*>(pool_.home(RootOf(dir_).root)); }
  void Seal(BlockNo block) {
    SealBlock(std::span<std::byte, kBlockSize>(pool_.home(block), kBlockSize));
  }
  // Every operation says kCorrupt and changes nothing.
  void ExpectCorrupt() {
    int corrupt = 0;
    for (int i = 0; i < 500; ++i) {
      const auto found = Lookup(dir_, "file" + std::to_string(i));
      if (found) continue;
      EXPECT_EQ(found.error().code, ErrorCode::kCorrupt);
      EXPECT_FALSE(found.error().message.empty());
      EXPECT_EQ(Remove(dir_, "file" + std::to_string(i)).error().code, ErrorCode::kCorrupt);
      ++corrupt;
    }
    EXPECT_GT(corrupt, 0);
    const auto all = names().Next(pool_.reader(), dir_, 0, 1000);
    ASSERT_FALSE(all);
    EXPECT_EQ(all.error().code, ErrorCode::kCorrupt);
    EXPECT_FALSE(pool_.reader().shut_down());
  }

  InodeDisk dir_{};
};

TEST_F(HostileDirectoryTest, ARootThatIsItsOwnChildIsCorrupt) {
  root().entries[0].child = RootOf(dir_).root;
  Seal(RootOf(dir_).root);
  ExpectCorrupt();
}

TEST_F(HostileDirectoryTest, ALeafWithTwoParentsIsCorrupt) {
  root().entries[1].child = root().entries[0].child;
  Seal(RootOf(dir_).root);
  ExpectCorrupt();
}

TEST_F(HostileDirectoryTest, AChildOutsideTheDataAreaIsCorrupt) {
  root().entries[0].child = 3;
  Seal(RootOf(dir_).root);
  ExpectCorrupt();
}

TEST_F(HostileDirectoryTest, AnEntryThatLeavesItsBlockIsCorrupt) {
  const BlockNo block = root().entries[0].child;
  auto* slots = reinterpret_cast<uint16_t*>(pool_.home(block) + sizeof(BlockHeader));
  slots[0] = kBlockSize - 8;
  Seal(block);
  ExpectCorrupt();
}

TEST_F(HostileDirectoryTest, ALeafOfAnotherDirectoryIsCorrupt) {
  const BlockNo block = root().entries[0].child;
  reinterpret_cast<BlockHeader*>(pool_.home(block))->owner += 1;
  Seal(block);
  ExpectCorrupt();
}

}  // namespace
}  // namespace mirdax::test
