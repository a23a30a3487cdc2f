// SPDX-License-Identifier: BSD-2-Clause
// Each shape is as awkward as it says.
#include "tests/crash/shapes.h"

#include <gtest/gtest.h>

namespace mirdax::crash {
namespace {

// A mounted volume of a shape.
class Mounted {
 public:
  explicit Mounted(std::string_view shape) {
    auto pool = ShapedPool::Build(*FindShape(shape));
    MIRDAX_CHECK(pool.has_value());
    pool_ = std::move(*pool);
    pool_->region().Begin();
    State state;
    auto mounted = pool_->Mount(&state);
    MIRDAX_CHECK(mounted.has_value());
    mounted_ = std::move(*mounted);
  }
  Volume& volume() { return mounted_->volume(); }
  void Do(std::string_view line) {
    const auto done = executor().Do(*ParseOperation(line));
    EXPECT_TRUE(done) << line << ": " << (done ? "" : ErrorCodeName(done.error().code));
  }
  ErrorCode Refuses(std::string_view line) {
    const auto done = executor().Do(*ParseOperation(line));
    EXPECT_FALSE(done) << line;
    return done ? ErrorCode::kInvalid : done.error().code;
  }
  uint64_t Blocks(std::string_view dir, std::string_view name) {
    const auto parent = dir.empty() ? Ino{kRootIno} : volume().Lookup(kRootIno, dir)->ino;
    return volume().Lookup(parent, name)->blocks / 8;
  }

 private:
  Executor executor() { return Executor(volume()); }

  std::unique_ptr<ShapedPool> pool_;
  std::unique_ptr<MountedImage> mounted_;
};

TEST(Shape, TheNextRecordsWrapAroundTheJournalAndACheckpointIsDue) {
  Mounted mounted("journal");
  const VolumeStatus before = mounted.volume().GetStatus();
  for (int i = 0; i < 4; ++i) {
    mounted.Do("create A/n" + std::to_string(i) + " 0600");
    mounted.Do("syncall");
  }
  const VolumeStatus after = mounted.volume().GetStatus();
  EXPECT_LT(after.commit % kMinJournalSize, before.commit % kMinJournalSize);
  EXPECT_GT(after.tail, before.tail);
}

TEST(Shape, BlocksAndInodesRunOutSoon) {
  Mounted mounted("full");
  mounted.Do("create A/n 0600");
  mounted.Do("create A/o 0600");
  EXPECT_EQ(mounted.Refuses("create A/p 0600"), ErrorCode::kNoSpace);
  mounted.Do("write A/n 0 16384 1");
  EXPECT_EQ(mounted.Refuses("fallocate A/o 0 16384"), ErrorCode::kNoSpace);
}

TEST(Shape, OneMoreNameSplitsTheDirectory) {
  Mounted mounted("directory");
  EXPECT_EQ(mounted.Blocks("", "A"), 1U);
  mounted.Do("create A/n 0600");
  EXPECT_EQ(mounted.Blocks("", "A"), 3U) << "two leaves and an index";
}

TEST(Shape, OneMoreExtentSplitsTheRootAndTheLeaf) {
  Mounted mounted("extents");
  const uint64_t root = mounted.Blocks("B", "g");
  mounted.Do("write B/g 57344 10 1");
  mounted.Do("fsync B/g");
  EXPECT_EQ(mounted.Blocks("B", "g"), root + 2) << "the block, and a leaf";
  const uint64_t leaf = mounted.Blocks("A", "f");
  mounted.Do("fallocate A/f 2097152 4096 keep-size");
  EXPECT_EQ(mounted.Blocks("A", "f"), leaf + 2) << "the block, and a leaf";
}

TEST(Shape, OneExtentFewerMergesTheLeaves) {
  Mounted mounted("merge");
  const uint64_t leaves = mounted.Blocks("A", "f");
  mounted.Do("punch A/f 4096 4096");
  mounted.Do("fsync A/f");
  EXPECT_EQ(mounted.Blocks("A", "f"), leaves - 2) << "the block, and a leaf";
  mounted.Do("truncate B/g 50");
  mounted.Do("fsync B/g");
  EXPECT_EQ(mounted.Blocks("B", "g"), 1U) << "no leaf";
}

TEST(Shape, FreedBlocksWaitForACheckpoint) {
  Mounted mounted("quarantine");
  const VolumeStatus before = mounted.volume().GetStatus();
  EXPECT_LT(before.tail, before.commit);
  mounted.Do("write f 0 40960 1");
  mounted.Do("fsync f");
  EXPECT_GT(mounted.volume().GetStatus().tail, before.tail) << "the write could not do without";
}

TEST(Shape, NothingIsInAnEmptyVolume) {
  Mounted mounted("empty");
  int names = 0;
  ASSERT_TRUE(mounted.volume().ReadDirectory(kRootIno, 0, false, [&](const DirEntry& entry, auto*) {
    if (entry.name != "." && entry.name != "..") ++names;
    return true;
  }));
  EXPECT_EQ(names, 0);
  mounted.Do("mkdir A 0755");
  mounted.Do("create A/n 0600");
}

class ShapeTest : public testing::TestWithParam<std::string> {};

TEST_P(ShapeTest, CanBeMountedAgainAndAgainAndIsTheSame) {
  const auto pool = ShapedPool::Build(*FindShape(GetParam()));
  ASSERT_TRUE(pool) << pool.error().message;
  for (int i = 0; i < 2; ++i) {
    (*pool)->region().Begin();
    State state;
    const auto mounted = (*pool)->Mount(&state);
    ASSERT_TRUE(mounted) << mounted.error().message;
    const bool has_names = FindShape(GetParam())->has_names;
    EXPECT_EQ(state.Find("A/d").has_value(), has_names);
    EXPECT_EQ(state.Find("B/e").has_value(), has_names);
    (*pool)->region().Undo();
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShapeTest,
                         testing::Values("plain", "synced", "journal", "full", "directory",
                                         "extents", "merge", "quarantine", "empty"));

}  // namespace
}  // namespace mirdax::crash
