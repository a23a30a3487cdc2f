// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/node_views.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "fs/format/dir_hash.h"

namespace mirdax {
namespace {

constexpr Ino kOwner = 7;

struct alignas(kLineSize) Block {
  std::array<std::byte, kBlockSize> bytes{};

  template <typename T>
  T& As(size_t offset = 0) {
    return *reinterpret_cast<T*>(bytes.data() + offset);
  }
  BlockHeader& header() { return As<BlockHeader>(); }
};

class NodeViewsTest : public ::testing::Test {
 protected:
  NodeViewsTest() {
    auto geometry = ComputeGeometry(uint64_t{64} << 20, {});
    EXPECT_TRUE(geometry);
    geometry_ = *geometry;
    self_ = geometry_.first_data_block() + 5;
  }

  BlockNo Data(uint64_t i) const { return geometry_.first_data_block() + i; }
  NodePlace Place(uint16_t level, KeyRange keys) const { return {self_, kOwner, level, keys}; }
  void SetHeader(Block& block, BlockType type, uint16_t level, size_t count) const {
    block.header() = {kBlockMagic, 0, kOwner, self_, type, level, static_cast<uint16_t>(count), 0};
  }

  Block ExtentLeaf() const {
    Block block;
    SetHeader(block, BlockType::kExtentNode, 0, 3);
    auto& node = block.As<ExtentNode>();
    node.entries[0] = {10, Data(20), 5, 0};
    node.entries[1] = {15, Data(100), 1, kExtentUnwritten};
    node.entries[2] = {90, Data(30), 10, 0};
    return block;
  }
  Block ExtentIndexNode() const {
    Block block;
    SetHeader(block, BlockType::kExtentNode, 2, 3);
    auto& node = block.As<ExtentNode>();
    node.entries[0] = {10, Data(20), 0, 0};
    node.entries[1] = {40, Data(21), 0, 0};
    node.entries[2] = {90, Data(22), 0, 0};
    return block;
  }
  Block DirIndex() const {
    Block block;
    SetHeader(block, BlockType::kDirIndex, 1, 3);
    auto& node = block.As<DirIndexNode>();
    node.entries[0] = {0, Data(20)};
    node.entries[1] = {1000, Data(21)};
    node.entries[2] = {2000, Data(22)};
    return block;
  }
  Block DirLeaf() const {
    Block block;
    SetHeader(block, BlockType::kDirLeaf, 0, 0);
    block.header().heap_start = kBlockSize;
    AddName(block, 300, "alpha");
    AddName(block, 512, std::string(255, 'b'));
    AddName(block, 513, "c");
    return block;
  }
  static void AddName(Block& block, DirKey key, const std::string& name) {
    BlockHeader& header = block.header();
    header.heap_start = static_cast<uint16_t>(header.heap_start - DirEntrySize(name.size()));
    block.As<DirEntryHeader>(header.heap_start) = {
        key, 9, DT_REG, static_cast<uint8_t>(name.size()), {}};
    std::memcpy(&block.bytes[header.heap_start + sizeof(DirEntryHeader)], name.data(), name.size());
    block.As<uint16_t>(sizeof(BlockHeader) + 2 * header.count++) = header.heap_start;
  }
  Block Xattrs() const {
    Block block;
    SetHeader(block, BlockType::kXattr, 0, 2);
    size_t at = sizeof(BlockHeader);
    block.As<XattrEntry>(at) = {5, XattrNamespace::kUser, 4, 0};
    std::memcpy(&block.bytes[at + sizeof(XattrEntry)], "namevalue", 9);
    at += XattrEntrySize(4, 5);
    block.As<XattrEntry>(at) = {3, XattrNamespace::kAclAccess, 0, 0};
    std::memcpy(&block.bytes[at + sizeof(XattrEntry)], "acl", 3);
    block.header().heap_start = static_cast<uint16_t>(at + XattrEntrySize(0, 3));
    return block;
  }

  template <typename View>
  static void ExpectCorrupt(const Result<View>& view, const std::string& what) {
    ASSERT_FALSE(view) << what;
    EXPECT_EQ(view.error().code, ErrorCode::kCorrupt) << what;
    EXPECT_FALSE(view.error().message.empty()) << what;
  }

  using Change = std::function<void(Block&)>;
  // What is wrong with any block's header is found in every kind of block.
  template <typename Check>
  void ExpectHeaderChecked(const Block& good, const Check& check) {
    ASSERT_TRUE(check(good)) << check(good).error().message;
    const std::vector<std::pair<std::string, Change>> changes = {
        {"magic", [](Block& b) { b.header().magic ^= 1; }},
        {"owner", [](Block& b) { b.header().owner += 1; }},
        {"self", [](Block& b) { b.header().self += 1; }},
        {"type", [](Block& b) { b.header().type = BlockType{9}; }},
        {"level", [](Block& b) { b.header().level += 1; }},
        {"empty", [](Block& b) { b.header().count = 0; }},
        {"count", [](Block& b) { b.header().count = 65535; }},
    };
    for (const auto& [what, change] : changes) {
      Block bad = good;
      change(bad);
      ExpectCorrupt(check(bad), what);
    }
  }

  Geometry geometry_;
  BlockNo self_ = 0;
};

TEST_F(NodeViewsTest, AnExtentLeafIsCheckedEntryByEntry) {
  const auto check = [&](const Block& b) {
    return ExtentNodeView::Of(b.bytes, Place(0, {10, 100}), geometry_);
  };
  const Block good = ExtentLeaf();
  ExpectHeaderChecked(good, check);
  const auto view = check(good);
  ASSERT_EQ(view->extents().size(), 3U);
  EXPECT_EQ(view->extents()[2].file_block, 90U);
  const std::vector<std::pair<std::string, Change>> changes = {
      {"overlap", [](Block& b) { b.As<ExtentNode>().entries[0].length = 6; }},
      {"order", [](Block& b) { b.As<ExtentNode>().entries[2].file_block = 3; }},
      {"no length", [](Block& b) { b.As<ExtentNode>().entries[1].length = 0; }},
      {"too long", [](Block& b) { b.As<ExtentNode>().entries[2].length = kMaxExtentBlocks + 1; }},
      {"below", [](Block& b) { b.As<ExtentNode>().entries[0].file_block = 9; }},
      {"beyond", [](Block& b) { b.As<ExtentNode>().entries[2].length = 11; }},
      {"wraps", [](Block& b) { b.As<ExtentNode>().entries[2].file_block = ~uint64_t{0} - 2; }},
      {"flags", [](Block& b) { b.As<ExtentNode>().entries[2].flags = 2; }},
      {"metadata", [](Block& b) { b.As<ExtentNode>().entries[2].pool_block = 2; }},
      {"outside", [](Block& b) { b.As<ExtentNode>().entries[2].pool_block = ~BlockNo{0}; }},
      {"end of pool",
       [this](Block& b) {
         b.As<ExtentNode>().entries[2].pool_block = Data(geometry_.data_blocks - 9);
       }},
  };
  for (const auto& [what, change] : changes) {
    Block bad = good;
    change(bad);
    ExpectCorrupt(check(bad), what);
  }
}

TEST_F(NodeViewsTest, AnExtentIndexLeadsToTheChildThatHoldsABlock) {
  const auto check = [&](const Block& b) {
    return ExtentNodeView::Of(b.bytes, Place(2, {5, 100}), geometry_);
  };
  const Block good = ExtentIndexNode();
  ExpectHeaderChecked(good, check);
  const auto view = check(good);
  EXPECT_EQ(view->ChildFor(5), 0U) << "the first child covers what lies below its key too";
  EXPECT_EQ(view->ChildFor(39), 0U);
  EXPECT_EQ(view->ChildFor(40), 1U);
  EXPECT_EQ(view->ChildFor(99), 2U);
  const NodePlace first = view->ChildPlace(0);
  EXPECT_EQ(first.keys.first, 5U);
  EXPECT_EQ(first.keys.end, 40U);
  EXPECT_EQ(first.level, 1);
  EXPECT_EQ(first.self, Data(20));
  EXPECT_EQ(view->ChildPlace(2).keys.end, 100U);
  const std::vector<std::pair<std::string, Change>> changes = {
      {"equal keys", [](Block& b) { b.As<ExtentNode>().entries[1].file_block = 10; }},
      {"below", [](Block& b) { b.As<ExtentNode>().entries[0].file_block = 4; }},
      {"beyond", [](Block& b) { b.As<ExtentNode>().entries[2].file_block = 100; }},
      {"zero", [](Block& b) { b.As<ExtentNode>().entries[2].flags = 1; }},
      {"outside", [](Block& b) { b.As<ExtentNode>().entries[0].pool_block = 0; }},
  };
  for (const auto& [what, change] : changes) {
    Block bad = good;
    change(bad);
    ExpectCorrupt(check(bad), what);
  }
}

TEST_F(NodeViewsTest, ADirectoryIndexIsCheckedEntryByEntry) {
  const auto check = [&](const Block& b) {
    return DirIndexView::Of(b.bytes, Place(1, {0, 5000}), geometry_);
  };
  const Block good = DirIndex();
  ExpectHeaderChecked(good, check);
  EXPECT_EQ(check(good)->ChildFor(1999), 1U);
  EXPECT_EQ(check(good)->ChildPlace(2).keys.end, 5000U);
  const std::vector<std::pair<std::string, Change>> changes = {
      {"order", [](Block& b) { b.As<DirIndexNode>().entries[1].key = 2000; }},
      {"beyond", [](Block& b) { b.As<DirIndexNode>().entries[2].key = 5000; }},
      {"outside", [](Block& b) { b.As<DirIndexNode>().entries[2].child = 1; }},
  };
  for (const auto& [what, change] : changes) {
    Block bad = good;
    change(bad);
    ExpectCorrupt(check(bad), what);
  }
}

TEST_F(NodeViewsTest, ADirectoryLeafIsCheckedEntryByEntry) {
  const auto check = [&](const Block& b) {
    return DirLeafView::Of(b.bytes, Place(0, {0, 1000}), geometry_);
  };
  const Block good = DirLeaf();
  ExpectHeaderChecked(good, check);
  const auto view = check(good);
  ASSERT_EQ(view->count(), 3U);
  EXPECT_EQ(view->entry(0).name, "alpha");
  EXPECT_EQ(view->entry(1).name.size(), 255U);
  EXPECT_EQ(view->LowerBound(0), 0U);
  EXPECT_EQ(view->LowerBound(301), 1U);
  EXPECT_EQ(view->LowerBound(514), 3U);
  const auto entry = [](Block& b, size_t i) -> DirEntryHeader& {
    return b.As<DirEntryHeader>(b.As<uint16_t>(sizeof(BlockHeader) + 2 * i));
  };
  const auto slot = [](Block& b, size_t i) -> uint16_t& {
    return b.As<uint16_t>(sizeof(BlockHeader) + 2 * i);
  };
  const std::vector<std::pair<std::string, Change>> changes = {
      {"heap in the slots", [](Block& b) { b.header().heap_start = 32; }},
      {"heap outside", [](Block& b) { b.header().heap_start = 4104; }},
      {"unaligned heap", [](Block& b) { b.header().heap_start -= 4; }},
      {"slot below the heap", [&](Block& b) { slot(b, 0) = 48; }},
      {"slot at the end", [&](Block& b) { slot(b, 0) = kBlockSize - 16; }},
      {"slot outside", [&](Block& b) { slot(b, 0) = 65528; }},
      {"unaligned slot", [&](Block& b) { slot(b, 0) += 1; }},
      {"one entry twice", [&](Block& b) { slot(b, 1) = slot(b, 0); }},
      {"overlap", [&](Block& b) { slot(b, 1) += 8; }},
      {"name too long", [&](Block& b) { entry(b, 0).name_length = 255; }},
      {"no name", [&](Block& b) { entry(b, 0).name_length = 0; }},
      {"order", [&](Block& b) { entry(b, 0).key = 512; }},
      {"low key", [&](Block& b) { entry(b, 0).key = 255; }},
      {"beyond", [&](Block& b) { entry(b, 2).key = 1000; }},
      {"no inode", [&](Block& b) { entry(b, 2).ino = 0; }},
      {"inode", [this, &entry](Block& b) { entry(b, 2).ino = geometry_.inode_count; }},
      {"type", [&](Block& b) { entry(b, 2).type = 3; }},
      {"slash", [&](Block& b) { reinterpret_cast<char*>(&entry(b, 2) + 1)[0] = '/'; }},
      {"nul", [&](Block& b) { reinterpret_cast<char*>(&entry(b, 2) + 1)[0] = '\0'; }},
      {"dot", [&](Block& b) { reinterpret_cast<char*>(&entry(b, 2) + 1)[0] = '.'; }},
  };
  for (const auto& [what, change] : changes) {
    Block bad = good;
    change(bad);
    ExpectCorrupt(check(bad), what);
  }
}

TEST_F(NodeViewsTest, AnAttributeBlockIsCheckedEntryByEntry) {
  const auto check = [&](const Block& b) { return XattrBlockView::Of(b.bytes, self_, kOwner); };
  const Block good = Xattrs();
  ExpectHeaderChecked(good, check);
  std::vector<std::string> seen;
  check(good)->ForEach([&](const XattrView& entry) {
    seen.push_back(std::string(entry.name) + "=" + std::string(entry.value));
    return true;
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"name=value", "=acl"}));
  const auto first = [](Block& b) -> XattrEntry& { return b.As<XattrEntry>(sizeof(BlockHeader)); };
  const std::vector<std::pair<std::string, Change>> changes = {
      {"end", [](Block& b) { b.header().heap_start = 4104; }},
      {"end inside", [](Block& b) { b.header().heap_start -= 8; }},
      {"end below", [](Block& b) { b.header().heap_start = 0; }},
      {"count", [](Block& b) { b.header().count = 3; }},
      {"value", [&](Block& b) { first(b).value_length = 65535; }},
      {"name", [&](Block& b) { first(b).name_length = 255; }},
      {"namespace", [&](Block& b) { first(b).space = XattrNamespace{6}; }},
      {"no namespace", [&](Block& b) { first(b).space = XattrNamespace{0}; }},
      {"acl with a name", [&](Block& b) { first(b).space = XattrNamespace::kAclDefault; }},
      {"zero", [&](Block& b) { first(b).zero = 1; }},
      {"nul", [&](Block& b) { b.bytes[sizeof(BlockHeader) + sizeof(XattrEntry)] = {}; }},
  };
  for (const auto& [what, change] : changes) {
    Block bad = good;
    change(bad);
    ExpectCorrupt(check(bad), what);
  }
}

TEST_F(NodeViewsTest, TheRootOfADirectorySaysHowHighItIs) {
  Block block = DirIndex();
  EXPECT_EQ(DirRootPlace(block.bytes, self_, kOwner)->level, 1);
  block.header().level = 0;
  ExpectCorrupt(DirRootPlace(block.bytes, self_, kOwner), "an index at level 0");
  block.header().level = kMaxTreeLevel + 1;
  ExpectCorrupt(DirRootPlace(block.bytes, self_, kOwner), "too high");
  EXPECT_EQ(DirRootPlace(DirLeaf().bytes, self_, kOwner)->level, 0);
}

// Touches every byte that a view hands out: a sanitizer sees where it should not.
size_t Use(const ExtentNodeView& view) {
  size_t sum = 0;
  for (const Extent& e : view.raw()) sum += e.file_block + e.length;
  if (view.level() > 0)
    for (size_t i = 0; i < view.count(); ++i) sum += view.ChildPlace(i).self;
  return sum;
}
size_t Use(const DirIndexView& view) {
  size_t sum = 0;
  for (size_t i = 0; i < view.entries().size(); ++i) sum += view.ChildPlace(i).self;
  return sum;
}
size_t Use(const DirLeafView& view) {
  size_t sum = 0;
  for (size_t i = 0; i < view.count(); ++i)
    for (const char c : view.entry(i).name) sum += static_cast<unsigned char>(c);
  return sum + view.LowerBound(512);
}
size_t Use(const XattrBlockView& view) {
  size_t sum = 0;
  view.ForEach([&](const XattrView& entry) {
    for (const char c : entry.name) sum += static_cast<unsigned char>(c);
    for (const char c : entry.value) sum += static_cast<unsigned char>(c);
    return true;
  });
  return sum;
}

TEST_F(NodeViewsTest, NoBytesLeadOutOfTheirBlock) {
  std::mt19937_64 random(1);
  size_t accepted = 0;
  const auto try_all = [&](const Block& good, const auto& check) {
    for (int round = 0; round < 20000; ++round) {
      Block bad = good;
      for (uint64_t n = 1 + random() % 4; n > 0; --n) {
        // Mostly where the structure is.
        const uint64_t at = random() % 4 == 0 ? random() % kBlockSize : random() % 200;
        bad.bytes[at] = static_cast<std::byte>(random());
      }
      const auto view = check(bad);
      if (!view) continue;
      accepted += Use(*view) != 0 ? 1 : 0;
    }
  };
  try_all(ExtentLeaf(), [&](const Block& b) {
    return ExtentNodeView::Of(b.bytes, Place(0, kAllFileBlocks), geometry_);
  });
  try_all(ExtentIndexNode(), [&](const Block& b) {
    return ExtentNodeView::Of(b.bytes, Place(2, kAllFileBlocks), geometry_);
  });
  try_all(DirIndex(), [&](const Block& b) {
    return DirIndexView::Of(b.bytes, Place(1, kAllDirKeys), geometry_);
  });
  try_all(DirLeaf(), [&](const Block& b) {
    return DirLeafView::Of(b.bytes, Place(0, kAllDirKeys), geometry_);
  });
  try_all(Xattrs(), [&](const Block& b) { return XattrBlockView::Of(b.bytes, self_, kOwner); });
  EXPECT_GT(accepted, 0U);
}

// --- the directory's hash ---

TEST(SipHashTest, MatchesTheReferenceVectors) {
  // https://github.com/veorq/SipHash, vectors.h: key 00..0f, inputs of 0..15 bytes 00 01 02...
  constexpr std::array<uint64_t, 16> kExpected = {
      0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
      0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
      0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
      0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5};
  HashSeed key{};
  std::array<std::byte, 16> input{};
  for (size_t i = 0; i < 16; ++i) {
    key[i] = static_cast<uint8_t>(i);
    input[i] = static_cast<std::byte>(i);
  }
  for (size_t length = 0; length < kExpected.size(); ++length)
    EXPECT_EQ(SipHash24(key, std::span(input).first(length)), kExpected[length]) << length;
}

TEST(DirHashTest, AKeyLeavesRoomForCollisionsAndFitsACookie) {
  const HashSeed seed{1, 2, 3};
  for (int i = 0; i < 10000; ++i) {
    const DirKey key = DirHash(seed, std::to_string(i));
    EXPECT_EQ(key % kDirCollisions, 0U);
    EXPECT_GE(key, kDirKeyMin);
    EXPECT_LE(key + kDirCollisions - 1, kDirKeyMax);
  }
  EXPECT_NE(DirHash(seed, "a"), DirHash(HashSeed{1, 2, 4}, "a"));
}

}  // namespace
}  // namespace mirdax
