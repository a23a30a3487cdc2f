// SPDX-License-Identifier: BSD-2-Clause
#include "tools/dump/dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/support/pool_image.h"
#include "tools/dump/render.h"

namespace mirdax::dump {
namespace {

using test::PoolImage;
constexpr size_t kLimit = 1000;

class Dump : public testing::Test {
 protected:
  Dump() : sample_(image_.AddSample()) {}
  Dumper Make() { return Dumper(image_.region()); }

  PoolImage image_;
  PoolImage::Sample sample_;
};

TEST_F(Dump, ShowsBothSuperblocksAndWhichOneCounts) {
  const Json json = Make().Superblocks();
  ASSERT_EQ(json.size(), 2U);
  EXPECT_FALSE(json[0]["current"]);
  EXPECT_TRUE(json[1]["current"]);
  EXPECT_EQ(json[0]["label"], "image");
  EXPECT_EQ(json[0]["journal"]["offset"], image_.geometry().journal.offset);
}

TEST_F(Dump, MarksADamagedSuperblockAndGoesOnWithTheOther) {
  image_.At<Superblock>(kBlockSize).data_blocks = 7;
  const Json json = Make().Superblocks();
  EXPECT_TRUE(json[0]["current"]);
  EXPECT_EQ(json[1]["problem"], "superblock checksum is wrong");
  EXPECT_EQ(json[1]["data"]["blocks"], 7);
  EXPECT_TRUE(Make().Inode(kRootIno, kLimit));
}

TEST_F(Dump, ShowsThePrivateBlock) {
  const Json json = Make().PrivateBlocks();
  EXPECT_EQ(json[0]["role"], "primary");
  EXPECT_EQ(json[0]["history"].size(), 1U);
  EXPECT_TRUE(json[1].contains("problem"));
}

TEST_F(Dump, NamesTheAreaThatEachPatchTouches) {
  const Geometry& g = image_.geometry();
  const std::vector<std::byte> line(64);
  image_.Append(std::array{PoolImage::Change{g.block_bitmap.offset, line},
                           PoolImage::Change{g.InodeOffset(5), line}});
  image_.Append(std::array{PoolImage::Change{g.data.offset, line}});
  const auto json = Make().Journal(std::nullopt);
  ASSERT_TRUE(json) << json.error().message;
  const Json& records = (*json)["records"];
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0]["patches"][0]["area"], "block bitmap, group 0");
  EXPECT_EQ(records[0]["patches"][1]["area"], "inode 5");
  EXPECT_EQ(records[1]["patches"][0]["area"],
            fmt::format("data, block {}", g.data.offset / kBlockSize));
  const Lsn second = records[1]["lsn"];
  EXPECT_EQ((*Make().Journal(second))["records"].size(), 1U);
  EXPECT_FALSE(Make().Journal(uint64_t{1} << 50));
}

TEST_F(Dump, MarksADamagedRecordAndStopsThere) {
  image_.Append(
      std::array{PoolImage::Change{image_.geometry().data.offset, std::vector<std::byte>(64)}});
  image_.At<uint8_t>(image_.geometry().journal.offset + 70) ^= 1;
  const auto json = Make().Journal(std::nullopt);
  ASSERT_TRUE(json);
  EXPECT_TRUE((*json)["records"][0].contains("problem"));
}

TEST_F(Dump, FindsAnInodeByPathAndShowsExtentsAndAttributes) {
  Dumper dumper = Make();
  const auto ino = dumper.FindPath("/dir/inner/hard");
  ASSERT_TRUE(ino) << ino.error().message;
  EXPECT_EQ(*ino, sample_.file);
  const auto json = dumper.Inode(*ino, kLimit);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["extents"].size(), 2U);
  EXPECT_TRUE((*json)["extents"][1]["unwritten"]);
  EXPECT_EQ((*json)["xattrs"][0]["name"], "user.colour");
  EXPECT_EQ((*json)["xattrs"][0]["hex"], "626c7565");
  EXPECT_EQ((*dumper.Inode(sample_.big, kLimit))["extents"].size(), 4U);
  EXPECT_TRUE((*dumper.Inode(sample_.big, 2))["extents_cut"]);
  EXPECT_EQ((*dumper.Inode(sample_.link, kLimit))["target"], "dir/inner");
  EXPECT_EQ((*dumper.Inode(sample_.device, kLimit))["device"], "0:3");
  EXPECT_FALSE(dumper.FindPath("/dir/none"));
  EXPECT_FALSE(dumper.FindPath("/file/x"));
  EXPECT_FALSE(dumper.Inode(1 << 20, kLimit));
}

TEST_F(Dump, ListsADirectoryByKey) {
  const auto json = Make().Directory(sample_.many, kLimit);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["entries"].size(), 300U);
  std::string last;
  for (const Json& entry : (*json)["entries"]) {
    EXPECT_LT(last, entry["key"].get<std::string>());
    last = entry["key"];
  }
  EXPECT_FALSE(Make().Directory(sample_.file, kLimit));
}

TEST_F(Dump, CountsWhatIsFree) {
  const auto json = Make().Free(true);
  ASSERT_TRUE(json);
  uint64_t in_runs = 0;
  for (const Json& run : (*json)["runs"]) in_runs += run["length"].get<uint64_t>();
  EXPECT_EQ(in_runs, (*json)["blocks_free"]);
  EXPECT_EQ((*json)["orphans"], 1);
}

TEST_F(Dump, ShowsHomeAsItIsAndAsAMountWouldSeeIt) {
  InodeDisk changed = image_.Inode(sample_.sparse);
  changed.uid = 77;
  const InodeDisk before = image_.Inode(sample_.sparse);
  image_.Inode(sample_.sparse) = changed;
  image_.SealInode(sample_.sparse);
  const auto whole = std::as_bytes(std::span(&image_.Inode(sample_.sparse), 1));
  const std::vector<std::byte> bytes(whole.begin(), whole.end());
  image_.Inode(sample_.sparse) = before;
  image_.Append(
      std::array{PoolImage::Change{image_.geometry().InodeOffset(sample_.sparse), bytes}});
  Dumper dumper = Make();
  EXPECT_EQ((*dumper.Inode(sample_.sparse, kLimit))["uid"], 0);
  ASSERT_TRUE(dumper.Replay());
  EXPECT_EQ((*dumper.Inode(sample_.sparse, kLimit))["uid"], 77);
}

TEST_F(Dump, OfADamagedPoolEndsAndIsText) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    PoolImage image;
    const auto sample = image.AddSample();
    const Geometry& g = image.geometry();
    for (int i = 0; i < 20; ++i) {
      image.At<uint64_t>(g.inode_table.offset + random() % 5000 / 8 * 8) = random();
      image.At<uint64_t>(g.data.offset + random() % (60 * kBlockSize) / 8 * 8) = random() % 4096;
    }
    Dumper dumper(image.region());
    for (const Ino ino : {kRootIno, sample.file, sample.big, sample.link, sample.many}) {
      const auto inode = dumper.Inode(ino, kLimit);
      EXPECT_TRUE(inode && !RenderText(*inode).empty());
      const auto directory = dumper.Directory(ino, kLimit);
      EXPECT_TRUE(!directory || !RenderJson(*directory).empty());
    }
    (void)dumper.FindPath("/dir/inner/empty");
  }
}

TEST(DumpText, IsReadable) {
  const Json json{{"a", 1},
                  {"b", {{"x", true}, {"y", "z"}}},
                  {"list", {{{"n", 1}}, {{"n", 2}}}},
                  {"none", Json::array()}};
  EXPECT_EQ(RenderText(json), "a: 1\nb: x yes, y z\nlist:\n  - n 1\n  - n 2\nnone: none\n");
}

}  // namespace
}  // namespace mirdax::dump
