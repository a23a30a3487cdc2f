// SPDX-License-Identifier: BSD-2-Clause
// Bytes that nobody but an attacker or a broken medium would write (R9): every one is found, and
// none makes fsck crash, hang or take memory without bound.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <random>

#include "tests/support/pool_image.h"
#include "tests/unit/tools/hostile_images.h"
#include "tools/fsck/check.h"
#include "tools/fsck/render.h"

namespace mirdax::fsck {
namespace {

using test::PoolImage;
using Sample = PoolImage::Sample;
using enum FindingCode;

class FsckHostile : public testing::TestWithParam<test::Hostile> {};

TEST_P(FsckHostile, IsFound) {
  PoolImage image;
  const Sample sample = image.AddSample();
  GetParam().change(image, sample);
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->clean());
  EXPECT_GE(report->findings.count(GetParam().expected), 1U)
      << "expected " << InfoOf(GetParam().expected).name << ", found:\n"
      << RenderText(*report, "pool", true);
  EXPECT_FALSE(RenderJson(*report, "pool").empty());
}

INSTANTIATE_TEST_SUITE_P(Contents, FsckHostile, testing::ValuesIn(test::HostileImages()),
                         [](const auto& image) { return test::NameOf(image.param); });

// --- single bytes ---

class FsckFlips : public testing::Test {
 protected:
  FsckFlips() : sample_(image_.AddSample()) { options_.paths = false; }

  // Flips one bit of each byte in the range, one after another: each must be found.
  void ExpectEveryFlipFound(std::string_view what, uint64_t offset, uint64_t length) {
    for (uint64_t i = 0; i < length; ++i) {
      auto& byte = image_.At<uint8_t>(offset + i);
      const uint8_t good = byte;
      byte = static_cast<uint8_t>(good ^ (1U << (i % 8)));
      const auto report = CheckPool(image_.region(), options_);
      byte = good;
      const bool found = !report || !report->findings.kept().empty();
      ASSERT_TRUE(found) << what << ": a flip of byte " << i << " was not found";
    }
  }

  PoolImage image_;
  Sample sample_;
  CheckOptions options_;
};

TEST_F(FsckFlips, OfASuperblockAreFound) {
  ExpectEveryFlipFound("superblock A", kSuperblockOffset, kBlockSize);
  ExpectEveryFlipFound("superblock B", kSuperblockOffset + kBlockSize, kBlockSize);
}

TEST_F(FsckFlips, OfThePrivateBlockAndTheCommitLineAreFound) {
  ExpectEveryFlipFound("private block A", kPrivateBlockOffset, kBlockSize);
  ExpectEveryFlipFound("private block B", kPrivateBlockOffset + kBlockSize, kBlockSize);
  ExpectEveryFlipFound("commit line", kCommitLineOffset, kLineSize);
}

TEST_F(FsckFlips, OfBitmapsAreFound) {
  const Geometry& g = image_.geometry();
  ExpectEveryFlipFound("block bitmap", g.block_bitmap.offset, g.block_bitmap.length);
  ExpectEveryFlipFound("inode bitmap", g.inode_bitmap.offset, g.inode_bitmap.length);
  ExpectEveryFlipFound("orphan bitmap", g.orphan_bitmap.offset, g.orphan_bitmap.length);
}

TEST_F(FsckFlips, OfInodesAreFound) {
  for (const Ino ino : {kRootIno, sample_.file, sample_.big, sample_.link, sample_.long_link,
                        sample_.device, sample_.orphan, sample_.many}) {
    ExpectEveryFlipFound(fmt::format("inode {}", ino), image_.geometry().InodeOffset(ino),
                         kInodeSize);
  }
}

TEST_F(FsckFlips, OfMetadataBlocksAreFound) {
  const BlockNo extent_node = std::bit_cast<ExtentIndex>(image_.Root(sample_.big).entries[0]).child;
  ExpectEveryFlipFound("extent node", extent_node * kBlockSize, kBlockSize);
  ExpectEveryFlipFound("index node", image_.Dir(sample_.many).root * kBlockSize, kBlockSize);
  ExpectEveryFlipFound("leaf", test::FirstLeaf(image_, sample_.many) * kBlockSize, kBlockSize);
  ExpectEveryFlipFound("attributes", image_.Inode(sample_.file).xattr_block * kBlockSize,
                       kBlockSize);
}

TEST_F(FsckFlips, OfACommittedRecordAreFound) {
  const Lsn lsn = image_.Append(std::array{
      PoolImage::Change{image_.geometry().InodeOffset(1000), std::vector<std::byte>(256)}});
  const Lsn end = image_.At<CommitLine>(kCommitLineOffset).commit;
  ASSERT_TRUE(CheckPool(image_.region(), options_)->clean());
  ExpectEveryFlipFound("record", image_.geometry().journal.offset + lsn, end - lsn);
}

// --- rubbish of every kind: there is an answer, soon ---

TEST(FsckRubbish, RandomFieldsUnderRightChecksumsGiveAnAnswerSoon) {
  const auto start = std::chrono::steady_clock::now();
  constexpr unsigned kRounds = 300;
  for (unsigned seed = 1; seed <= kRounds; ++seed) {
    PoolImage image;
    image.AddSample();
    std::mt19937_64 random(seed);
    const Geometry& g = image.geometry();
    for (int i = 0; i < 8; ++i) {
      const uint64_t values[] = {0,
                                 1,
                                 ~uint64_t{0},
                                 uint64_t{1} << 63,
                                 random(),
                                 g.first_data_block() + random() % 64,
                                 g.data_blocks};
      const uint64_t value = values[random() % std::size(values)];
      const size_t length = size_t{1} << (random() % 4);
      if (random() % 2 == 0) {
        const Ino ino = 1 + random() % 20;
        const uint64_t at = g.InodeOffset(ino) + 16 + random() % 230 / length * length;
        std::memcpy(&image.At<std::byte>(at), &value, length);
        image.SealInode(ino);
      } else {
        const BlockNo block = g.first_data_block() + random() % 60;
        const uint64_t at = block * kBlockSize + 16 + random() % 512 / length * length;
        std::memcpy(&image.At<std::byte>(at), &value, length);
        if (image.Block<BlockHeader>(block).magic == kBlockMagic) image.SealNode(block);
      }
    }
    ASSERT_TRUE(CheckPool(image.region())) << "seed " << seed;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(FsckRubbish, RandomBytesGiveAnAnswerSoon) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    PoolImage image;
    std::mt19937_64 random(seed);
    auto memory = image.region().memory();
    // What is behind the superblocks is rubbish, the private block now and then.
    const uint64_t from = seed % 4 == 0 ? kPrivateBlockOffset : kDynamicAreaOffset;
    for (uint64_t at = from; at < memory.size(); at += 8) image.At<uint64_t>(at) = random();
    const auto report = CheckPool(image.region());
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_FALSE(report->clean());
    EXPECT_LE(report->findings.kept().size(), 100U * 50U);
  }
}

TEST(FsckRubbish, ManyOwnersOfAllBlocksDoNotTakeForEver) {
  PoolImage image(uint64_t{64} << 20);
  const Geometry& g = image.geometry();
  for (int i = 0; i < 900; ++i) {
    ExtentRoot root{};
    root.count = kExtentsInRoot;
    for (Extent& extent : root.entries) {
      extent = {static_cast<uint64_t>(&extent - root.entries.data()) << 20, g.first_data_block(),
                static_cast<uint32_t>(g.data_blocks), 0};
    }
    const Ino ino = image.NewInode(S_IFREG | 0644);
    image.Root(ino) = root;
    image.SealInode(ino);
  }
  const auto start = std::chrono::steady_clock::now();
  const auto report = CheckPool(image.region());
  ASSERT_TRUE(report);
  EXPECT_GE(report->findings.count(kBlockOwnedTwice), 900U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace mirdax::fsck
