// SPDX-License-Identifier: BSD-2-Clause
// Bad pools (R9): opening, recovering, mounting, reading everything, changing and checking them
// gives errors that say what and where; nothing crashes, hangs, or stores outside the pool.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "fs/core/recovery.h"
#include "fs/core/volume.h"
#include "fs/format/checksums.h"
#include "fs/pmem/mapping.h"
#include "fs/pmem/view_region.h"
#include "tests/support/pool_image.h"
#include "tests/support/pool_walk.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/tools/hostile_images.h"
#include "tools/fsck/check.h"
#include "tools/fsck/render.h"

namespace mirdax {
namespace {

using test::MemoryPool;
using test::PoolImage;

std::unique_ptr<Region> CopyOf(std::span<const std::byte> bytes) {
  std::unique_ptr<Region> region = MemoryPool::MakeRegion(bytes.size());
  std::memcpy(region->memory().data(), bytes.data(), bytes.size());
  return region;
}

struct Outcome {
  bool mounted = false;
  size_t inodes = 0;
};

// What a mount does with these bytes.
Outcome Use(std::span<const std::byte> bytes, bool spoil) {
  Outcome outcome;
  auto pool = MemoryPool::Open(CopyOf(bytes));
  if (!pool) return outcome;
  const auto store = PrivateStore::Open((*pool)->region());
  if (!store) return outcome;
  if (!RecoverPool(**pool, **store)) return outcome;
  NoReplication sink;
  SystemClock clock;
  SeededRandom random(1);
  VolumeOptions options;
  options.background = false;
  const auto volume = Volume::Mount(**pool, **store, sink, clock, random, options);
  if (!volume) return outcome;
  outcome.mounted = true;
  test::PoolWalk walk(**volume);
  walk.Run();
  outcome.inodes = walk.inodes();
  if (spoil) walk.Spoil();
  EXPECT_THAT(walk.violations(), testing::IsEmpty());
  (void)(*volume)->Unmount();
  return outcome;
}

TEST(HostilePools, TheEngineReadsWhatTheSpecificationsSecondAuthorWrote) {
  PoolImage image;
  image.AddSample();
  const Outcome outcome = Use(image.region().memory(), false);
  EXPECT_TRUE(outcome.mounted);
  EXPECT_EQ(outcome.inodes, 312U);  // 313 in use, one of them an orphan
}

TEST(HostilePools, TheEngineLeavesACleanPoolAfterChangingAndRemovingEverything) {
  PoolImage image;
  image.AddSample();
  auto pool = MemoryPool::Open(CopyOf(image.region().memory()));
  ASSERT_TRUE(pool);
  const auto store = PrivateStore::Open((*pool)->region());
  ASSERT_TRUE(store);
  NoReplication sink;
  SystemClock clock;
  SeededRandom random(1);
  VolumeOptions options;
  options.background = false;
  {
    const auto volume = Volume::Mount(**pool, **store, sink, clock, random, options);
    ASSERT_TRUE(volume) << volume.error().message;
    test::PoolWalk walk(**volume);
    walk.Run();
    walk.Spoil();
    const Status unmounted = (*volume)->Unmount();
    ASSERT_TRUE(unmounted) << unmounted.error().message;
  }
  const auto report = fsck::CheckPool((*pool)->region());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->clean()) << fsck::RenderText(*report, "pool", true);
  EXPECT_EQ(report->orphans, 0U);
  EXPECT_EQ((*store)->Get().clean, 1U);
}

class HostileContents : public testing::TestWithParam<test::Hostile> {};

TEST_P(HostileContents, AreReadAndChangedWithoutACrash) {
  PoolImage image;
  const auto sample = image.AddSample();
  GetParam().change(image, sample);
  Use(image.region().memory(), false);
  Use(image.region().memory(), true);
}
INSTANTIATE_TEST_SUITE_P(Contents, HostileContents, testing::ValuesIn(test::HostileImages()),
                         [](const auto& image) { return test::NameOf(image.param); });

TEST(HostilePools, RandomFieldsUnderRightChecksumsAreReadAndChangedWithoutACrash) {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    PoolImage image;
    image.AddSample();
    const Geometry& g = image.geometry();
    std::mt19937_64 random(seed);
    for (int i = 0; i < 4; ++i) {
      const uint64_t values[] = {0,
                                 1,
                                 ~uint64_t{0},
                                 uint64_t{1} << 63,
                                 random(),
                                 random() % 64,
                                 g.first_data_block() + random() % 64};
      const uint64_t value = values[random() % std::size(values)];
      const size_t length = size_t{1} << (random() % 4);
      if (random() % 2 == 0) {
        const Ino ino = 1 + random() % 14;
        std::memcpy(&image.At<std::byte>(g.InodeOffset(ino) + 16 + random() % 230), &value, length);
        image.SealInode(ino);
      } else {
        const BlockNo block = g.first_data_block() + random() % 40;
        if (image.Block<BlockHeader>(block).magic != kBlockMagic) continue;
        std::memcpy(&image.At<std::byte>(block * kBlockSize + 8 + random() % 600), &value, length);
        image.SealNode(block);
      }
    }
    Use(image.region().memory(), seed % 2 == 0);
  }
}

TEST(HostilePools, FlippedBytesAreReadAndChangedWithoutACrash) {
  PoolImage image;
  image.AddSample();
  std::mt19937_64 random(11);
  const uint64_t end = image.geometry().data.offset + 64 * kBlockSize;
  for (int round = 0; round < 150; ++round) {
    std::vector<std::pair<uint64_t, std::byte>> before;
    for (int i = 0; i < 8; ++i) {
      const uint64_t at = random() % (round % 3 == 0 ? kDynamicAreaOffset : end);
      auto& byte = image.At<std::byte>(at);
      before.emplace_back(at, byte);
      byte ^= std::byte{1} << (random() % 8);
    }
    Use(image.region().memory(), round % 2 == 0);
    for (auto undo = before.rbegin(); undo != before.rend(); ++undo) {
      image.At<std::byte>(undo->first) = undo->second;
    }
  }
}

TEST(HostilePools, SuperblocksOfRandomFieldsUnderRightChecksumsAreRefusedOrServe) {
  PoolImage image;
  std::mt19937_64 random(5);
  const Superblock good = image.At<Superblock>(0);
  for (int round = 0; round < 400; ++round) {
    Superblock superblock = good;
    auto* words = reinterpret_cast<uint64_t*>(&superblock);
    for (int i = 0; i < 1 + round % 3; ++i) {
      const uint64_t values[] = {0, 1, 4096, ~uint64_t{0}, uint64_t{1} << 63, random()};
      words[3 + random() % 33] = values[random() % std::size(values)];
    }
    Seal(superblock);
    image.At<Superblock>(0) = superblock;
    image.At<Superblock>(kBlockSize) = superblock;
    Use(image.region().memory(), true);
    const auto region = CopyOf(image.region().memory());
    (void)fsck::CheckPool(*region);
  }
}

// --- files ---

class HostileFiles : public testing::Test {
 protected:
  HostileFiles() : path_(dir_.File("pool")) {
    image_.AddSample();
    Store();
  }

  void Store() {
    const auto memory = image_.region().memory();
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(memory.data()),
               static_cast<std::streamsize>(memory.size()));
  }

  // The error names the pool, and has something to say.
  void ExpectRefused(ErrorCode code, std::string_view what) {
    for (const PoolAccess access :
         {PoolAccess::kExclusive, PoolAccess::kShared, PoolAccess::kSnapshot}) {
      PoolOptions options;
      options.access = access;
      const auto pool = Pool::Open(path_, options);
      ASSERT_FALSE(pool);
      EXPECT_EQ(pool.error().code, code) << pool.error().message;
      EXPECT_THAT(pool.error().message, testing::HasSubstr(path_));
      EXPECT_THAT(pool.error().message, testing::HasSubstr(std::string(what)));
    }
  }

  const test::TempDir dir_;
  const std::string path_;
  PoolImage image_;
};

TEST_F(HostileFiles, ThatWereTruncatedAreRefused) {
  for (const off_t size : {100, 4096, 8192, 65536, 1 << 20, (8 << 20) - 4096}) {
    ASSERT_EQ(truncate(path_.c_str(), size), 0);
    ExpectRefused(ErrorCode::kCorrupt, "");
    Store();
  }
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  const auto pool = Pool::Open(path_, {});
  ASSERT_FALSE(pool);
  EXPECT_THAT(pool.error().message, testing::HasSubstr(path_));
}

TEST_F(HostileFiles, OfZerosOrRubbishAreRefused) {
  auto memory = image_.region().memory();
  std::memset(memory.data(), 0, memory.size());
  Store();
  ExpectRefused(ErrorCode::kCorrupt, "superblock");
  std::mt19937_64 random(1);
  for (size_t i = 0; i < memory.size(); i += 8) image_.At<uint64_t>(i) = random();
  Store();
  ExpectRefused(ErrorCode::kCorrupt, "superblock");
}

TEST_F(HostileFiles, OfANewerFormatAreRefusedByNumber) {
  for (uint64_t i = 0; i < 2; ++i) image_.At<Superblock>(i * kBlockSize).version = 41;
  image_.SealSuperblocks();
  Store();
  ExpectRefused(ErrorCode::kIncompatible, "41");
}

TEST_F(HostileFiles, WithAnUnknownFeatureAreRefusedByItsBit) {
  for (uint64_t i = 0; i < 2; ++i) image_.At<Superblock>(i * kBlockSize).incompat = 0x40;
  image_.SealSuperblocks();
  Store();
  ExpectRefused(ErrorCode::kIncompatible, "0x40");
}

TEST_F(HostileFiles, ThatAreOpenedForACheckStayAsTheyAre) {
  // A record waits: the check applies it, in its own view.
  image_.Append(std::array{PoolImage::Change{image_.geometry().InodeOffset(1000),
                                             std::vector<std::byte>(256, std::byte{1})}});
  Store();
  const auto read = [&] {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = read();
  PoolOptions options;
  options.access = PoolAccess::kSnapshot;
  const auto pool = Pool::OpenRaw(path_, options);
  ASSERT_TRUE(pool) << pool.error().message;
  const auto report = fsck::CheckPool((*pool)->region());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->records_replayed, 1U);
  EXPECT_EQ(read(), before);
}

TEST_F(HostileFiles, ThatAreInUseAreRefusedByTheCheck) {
  const auto daemon = Pool::Open(path_, {});
  ASSERT_TRUE(daemon) << daemon.error().message;
  PoolOptions options;
  options.access = PoolAccess::kSnapshot;
  const auto pool = Pool::OpenRaw(path_, options);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ErrorCode::kBusy);
  EXPECT_THAT(pool.error().message, testing::HasSubstr(std::to_string(getpid())));
}

}  // namespace
}  // namespace mirdax
