// SPDX-License-Identifier: BSD-2-Clause
// Calls that fail half way because of damage on the medium: what they leave is still owed, still
// whole, and never somebody else's.
#include "tests/unit/core/volume_fixture.h"

namespace mirdax::test {
namespace {

// The leaves of a file's extent tree, in file order, damaged and mended at will.
class Leaves {
 public:
  Leaves(World& world, Ino ino) : memory_(world.recorder().memory()) {
    for (uint64_t at = world.pool().geometry().data.offset; at < memory_.size(); at += kBlockSize) {
      const auto& node = *reinterpret_cast<const ExtentNode*>(memory_.data() + at);
      if (node.header.magic == kBlockMagic && node.header.owner == ino &&
          node.header.type == BlockType::kExtentNode && node.header.level == 0 &&
          node.header.self == at / kBlockSize)
        nodes_[node.entries[0].file_block] = at;
    }
  }
  size_t count() const { return nodes_.size(); }
  // Once more, to mend it.
  void Damage(size_t index) {
    const auto node = std::next(nodes_.begin(), static_cast<ptrdiff_t>(index));
    memory_[node->second + kBlockSize / 2] ^= std::byte{1};
  }

 private:
  std::span<std::byte> memory_;
  std::map<uint64_t, uint64_t> nodes_;  // first file block -> offset in the pool
};

// A synced file of which every other block of the first 2 * `extents` is mapped; returns its bytes.
std::string MakeSparse(World& world, Ino file, uint64_t extents) {
  std::string model;
  for (uint64_t i = 0; i < extents; ++i) {
    const std::string block(kBlockSize, static_cast<char>('a' + i % 26));
    world.Write(file, 2 * i * kBlockSize, block);
    model.resize(2 * i * kBlockSize);
    model += block;
  }
  EXPECT_TRUE(world.volume().Fsync(file, false));
  return model;
}

class FailedAllocate : public testing::TestWithParam<AllocateMode> {};

INSTANTIATE_TEST_SUITE_P(Modes, FailedAllocate,
                         testing::Values(AllocateMode::kPunchHole, AllocateMode::kZeroRange),
                         [](const auto& mode) {
                           return mode.param == AllocateMode::kPunchHole ? "Punch" : "ZeroRange";
                         });

TEST_P(FailedAllocate, StillOwesTheBytesThatItDidNotDrop) {
  World world;
  const Ino file = world.Create(kRootIno, "f");
  std::string model = MakeSparse(world, file, 40);
  world.Write(file, 0, "overwritten");
  model.replace(0, 11, "overwritten");
  Leaves leaves(world, file);
  ASSERT_EQ(leaves.count(), 1U);
  leaves.Damage(0);
  EXPECT_EQ(CodeOf(world.volume().Allocate(file, GetParam(), 0, 8 * kBlockSize)),
            ErrorCode::kCorrupt);
  leaves.Damage(0);
  ASSERT_TRUE(world.volume().Fsync(file, false));
  world.Crash();
  EXPECT_TRUE(world.Read(world.Find(kRootIno, "f")) == model);
}

// The parameter: which leaf is damaged.
class FailedTruncate : public testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(Leaf, FailedTruncate, testing::Values(1, 2));

TEST_P(FailedTruncate, IsFinishedBeforeAWriteBeyondTheNewEnd) {
  World world;
  const Ino file = world.Create(kRootIno, "f");
  std::string model = MakeSparse(world, file, 450);
  Leaves leaves(world, file);
  ASSERT_GE(leaves.count(), 3U);
  leaves.Damage(GetParam());
  EXPECT_EQ(CodeOf(world.Truncate(file, 100)), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(world.volume().Write(file, 1000 * kBlockSize, std::as_bytes(std::span("x")))),
            ErrorCode::kCorrupt);
  leaves.Damage(GetParam());
  model.resize(100);
  EXPECT_EQ(world.Stat(file).size, model.size());
  EXPECT_EQ(world.Read(file), model);
  world.Write(file, 600 * kBlockSize + 50, "beyond");
  model.resize(600 * kBlockSize + 50);
  model += "beyond";
  EXPECT_TRUE(world.Read(file) == model);
  ASSERT_TRUE(world.volume().Fsync(file, false));
  world.Crash();
  EXPECT_TRUE(world.Read(world.Find(kRootIno, "f")) == model);
}

TEST_P(FailedTruncate, IsFinishedBeforeAnAllocationBeyondTheNewEnd) {
  World world;
  const Ino file = world.Create(kRootIno, "f");
  std::string model = MakeSparse(world, file, 450);
  Leaves leaves(world, file);
  leaves.Damage(GetParam());
  EXPECT_EQ(CodeOf(world.Truncate(file, 100)), ErrorCode::kCorrupt);
  leaves.Damage(GetParam());
  ASSERT_TRUE(world.volume().Allocate(file, AllocateMode::kAllocate, 0, 700 * kBlockSize));
  model.resize(100);
  model.resize(700 * kBlockSize);
  EXPECT_TRUE(world.Read(file) == model);
}

TEST(VolumeDamage, AnInodeSlotInUseIsNotGivenOutThoughTheBitmapSaysItIsFree) {
  World world;
  const Ino file = world.Create(kRootIno, "f");
  world.Write(file, 0, "kept");
  ASSERT_TRUE(world.volume().Unmount());
  const uint64_t byte = world.pool().geometry().inode_bitmap.offset + file / 8;
  world.recorder().memory()[byte] &= ~static_cast<std::byte>(1U << (file % 8));
  ASSERT_TRUE(world.TryMount());
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    const auto made = world.volume().Create(kRootIno, "g" + std::to_string(i), 0644, world.caller);
    if (made) {
      EXPECT_NE(made->ino, file);
    } else {
      EXPECT_EQ(CodeOf(made), ErrorCode::kCorrupt);
      ++refused;
    }
  }
  EXPECT_EQ(refused, 1) << "the number is offered once, then left alone";
  EXPECT_EQ(world.Read(world.Find(kRootIno, "f")), "kept");
}

}  // namespace
}  // namespace mirdax::test
