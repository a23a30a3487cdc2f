// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/pool.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "fs/format/checksums.h"
#include "fs/format/superblock.h"
#include "fs/pmem/recorder_region.h"
#include "fs/pmem/superblock_pair.h"
#include "mkfs/format_pool.h"
#include "tests/support/memory_pool.h"
#include "tests/support/temp_dir.h"

namespace mirdax {
namespace {

using testing::HasSubstr;
using testing::Not;
constexpr uint64_t kSize = uint64_t{16} << 20;

class PoolTest : public testing::Test {
 protected:
  PoolTest() {
    SystemRandom random;
    SystemClock clock;
    FormatPoolOptions options;
    options.size = kSize;
    options.format.label = "test";
    EXPECT_TRUE(FormatPool(path_, options, random, clock));
  }

  Error OpenError(const std::string& path, PoolAccess access = PoolAccess::kExclusive) {
    auto pool = Pool::Open(path, {.access = access});
    EXPECT_FALSE(pool);
    if (pool) return {};
    EXPECT_EQ(pool.error().message.find(path + ": "), 0U) << pool.error().message;
    return pool.error();
  }

  // Changes both superblocks and gives them good checksums.
  void ChangeSuperblocks(const std::function<void(Superblock&)>& change) {
    const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    for (off_t offset : {0, 4096}) {
      Superblock sb;
      ASSERT_EQ(pread(fd, &sb, sizeof(sb), offset), ssize_t{sizeof(sb)});
      change(sb);
      Seal(sb);
      ASSERT_EQ(pwrite(fd, &sb, sizeof(sb), offset), ssize_t{sizeof(sb)});
    }
    close(fd);
  }

  const test::TempDir dir_;
  const std::string path_ = dir_.File("pool");
};

TEST_F(PoolTest, AFormattedPoolOpens) {
  auto pool = Pool::Open(path_, {});
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_EQ((*pool)->path(), path_);
  EXPECT_EQ(LabelOf((*pool)->superblock()), "test");
  EXPECT_EQ((*pool)->geometry().pool_size, kSize);
  EXPECT_EQ((*pool)->region().size(), kSize);
}

TEST_F(PoolTest, WhatIsNoPoolIsRefusedWithAMessageThatSaysWhatItIs) {
  EXPECT_EQ(OpenError(dir_.File("none")).code, ErrorCode::kNotFound);
  EXPECT_THAT(OpenError(dir_.path()).message, HasSubstr("is a directory"));
  EXPECT_THAT(OpenError(dir_.path(), PoolAccess::kShared).message, HasSubstr("is a directory"));
  EXPECT_THAT(OpenError("/dev/null").message, HasSubstr("no devdax device"));
  const std::string fifo = dir_.File("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(OpenError(fifo).message, HasSubstr("neither a file"));

  const std::string other = dir_.File("other");
  std::ofstream(other).close();
  EXPECT_THAT(OpenError(other).message, HasSubstr("has 0 bytes"));
  std::ofstream(other) << std::string(5000, 'x');
  EXPECT_EQ(OpenError(other).code, ErrorCode::kCorrupt);
  std::ofstream(other) << std::string(kSize, 'x');
  EXPECT_THAT(OpenError(other).message, HasSubstr("there is no mirdax superblock"));
  std::ofstream(other) << std::string(kSize, '\0');
  EXPECT_THAT(OpenError(other).message, HasSubstr("there is no mirdax superblock"));
  EXPECT_THAT(OpenError(other).message, HasSubstr("mkfs.mirdax"));
}

TEST_F(PoolTest, AShortenedPoolIsRefusedWithBothSizes) {
  ASSERT_EQ(truncate(path_.c_str(), kSize - 4096), 0);
  const Error error = OpenError(path_);
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr(std::to_string(kSize)));
  EXPECT_THAT(error.message, HasSubstr(std::to_string(kSize - 4096)));
  EXPECT_THAT(error.message, HasSubstr("restore all of it"));
  EXPECT_THAT(error.message, Not(HasSubstr("mkfs")));  // which would destroy what is left
  ASSERT_EQ(truncate(path_.c_str(), 4096), 0);
  EXPECT_EQ(OpenError(path_).code, ErrorCode::kCorrupt);
}

TEST_F(PoolTest, ALongerPoolIsFine) {
  ASSERT_EQ(truncate(path_.c_str(), kSize + 5000), 0);
  auto pool = Pool::Open(path_, {});
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_EQ((*pool)->geometry().pool_size, kSize);
}

TEST_F(PoolTest, OneDamagedSuperblockIsReplacedByTheOther) {
  for (off_t offset : {0, 4096}) {
    const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    Superblock good;
    ASSERT_EQ(pread(fd, &good, sizeof(good), offset), ssize_t{sizeof(good)});
    const std::string bad(4096, '\xee');
    ASSERT_EQ(pwrite(fd, bad.data(), bad.size(), offset), 4096);
    EXPECT_TRUE(Pool::Open(path_, {}));
    ASSERT_EQ(pwrite(fd, &good, sizeof(good), offset), ssize_t{sizeof(good)});
    close(fd);
  }
}

TEST_F(PoolTest, ANewerFormatIsRefusedAndLeftAlone) {
  ChangeSuperblocks([](Superblock& sb) { sb.version = 2; });
  Error error = OpenError(path_);
  EXPECT_EQ(error.code, ErrorCode::kIncompatible);
  EXPECT_THAT(error.message, HasSubstr("version 2"));
  ChangeSuperblocks([](Superblock& sb) {
    sb.version = kFormatVersion;
    sb.incompat = 8;
  });
  error = OpenError(path_);
  EXPECT_EQ(error.code, ErrorCode::kIncompatible);
  EXPECT_THAT(error.message, HasSubstr("0x8"));
}

TEST_F(PoolTest, UnknownReadOnlyFeaturesAllowOnlyReading) {
  ChangeSuperblocks([](Superblock& sb) { sb.ro_compat = 2; });
  EXPECT_EQ(OpenError(path_).code, ErrorCode::kIncompatible);
  EXPECT_TRUE(Pool::Open(path_, {.access = PoolAccess::kShared}));
  EXPECT_TRUE(Pool::Open(path_, {.access = PoolAccess::kSnapshot}));
}

TEST_F(PoolTest, ASecondProcessIsRefusedAndToldWhoHoldsIt) {
  auto pool = Pool::Open(path_, {});
  ASSERT_TRUE(pool);
  const pid_t child = fork();
  if (child == 0) {
    for (const auto access : {PoolAccess::kExclusive, PoolAccess::kShared, PoolAccess::kSnapshot}) {
      const auto second = Pool::Open(path_, {.access = access});
      const std::string holder = fmt::format("process {} (pmem_test)", getppid());
      if (second || second.error().code != ErrorCode::kBusy) _exit(1);
      if (second.error().message.find(holder) == std::string::npos) _exit(2);
    }
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  pool->reset();
  EXPECT_TRUE(Pool::Open(path_, {}));
}

TEST_F(PoolTest, ReadersShareAndKeepWritersOut) {
  auto one = Pool::Open(path_, {.access = PoolAccess::kShared});
  auto two = Pool::Open(path_, {.access = PoolAccess::kSnapshot});
  ASSERT_TRUE(one && two);
  EXPECT_EQ(OpenError(path_).code, ErrorCode::kBusy);
}

TEST_F(PoolTest, ASnapshotsStoresNeverReachThePool) {
  {
    auto pool = Pool::Open(path_, {.access = PoolAccess::kSnapshot});
    ASSERT_TRUE(pool) << pool.error().message;
    EXPECT_EQ((*pool)->region().granularity(), Granularity::kPage);
    (*pool)->region().Store64(kCommitLineOffset, 64);
    ASSERT_TRUE((*pool)->region().Persist(kCommitLineOffset, 8));
    EXPECT_EQ((*pool)->region().As<CommitLine>(kCommitLineOffset).commit, 64U);
  }
  auto pool = Pool::Open(path_, {});
  ASSERT_TRUE(pool);
  EXPECT_EQ((*pool)->region().As<CommitLine>(kCommitLineOffset).commit, 0U);
}

TEST_F(PoolTest, AReadOnlyUserMayLook) {
  ASSERT_EQ(chmod(path_.c_str(), 0400), 0);
  EXPECT_TRUE(Pool::Open(path_, {.access = PoolAccess::kShared}));
  EXPECT_TRUE(Pool::Open(path_, {.access = PoolAccess::kSnapshot}));
}

TEST_F(PoolTest, AStoredSuperblockIsThereAfterReopening) {
  {
    auto pool = Pool::Open(path_, {});
    ASSERT_TRUE(pool);
    const uint64_t sequence = (*pool)->superblock().sequence;
    for (const char* label : {"one", "two", "three"}) {
      Superblock next = (*pool)->superblock();
      SetLabel(next, label);
      ASSERT_TRUE((*pool)->StoreSuperblock(next));
      EXPECT_EQ(LabelOf((*pool)->superblock()), label);
    }
    EXPECT_EQ((*pool)->superblock().sequence, sequence + 3);
    Superblock bad = (*pool)->superblock();
    bad.journal_offset = 1;
    EXPECT_FALSE((*pool)->StoreSuperblock(bad));
    bad = (*pool)->superblock();
    bad.pool_size = 2 * kSize;
    EXPECT_FALSE((*pool)->StoreSuperblock(bad));
  }
  auto pool = Pool::Open(path_, {.access = PoolAccess::kShared});
  ASSERT_TRUE(pool);
  EXPECT_EQ(LabelOf((*pool)->superblock()), "three");
}

TEST_F(PoolTest, RawOpensAnythingThatCanBeMapped) {
  const std::string other = dir_.File("other");
  std::ofstream(other) << std::string(kSize, 'x');
  auto pool = Pool::OpenRaw(other, {.access = PoolAccess::kShared});
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_EQ((*pool)->superblock().magic, 0U);
  EXPECT_EQ((*pool)->region().size(), kSize);
}

// The second update's first line lands in part; the line that the first one lacked lands whole.
TEST(SuperblockStore, LinesOfTwoTornUpdatesNeverMakeTheFirstOneCount) {
  auto made = *RecorderRegion::Create(kSize);
  RecorderRegion& region = *made;
  const auto pool = test::MemoryPool::Create(std::move(made));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(pool->StoreSuperblock(pool->superblock()));
  const auto update = [](Region& target, SuperblockPair& pair, uint64_t compat) {
    Superblock next = pair.superblock();
    next.compat = compat;
    SetLabel(next, "same");
    return pair.Store(target, next);
  };
  SuperblockPair pair = *SuperblockPair::Load(region);
  region.FailDrain(1, false);
  ASSERT_FALSE(update(region, pair, 1).has_value());
  const std::vector<uint64_t> lines = region.InFlightLines();
  ASSERT_GE(lines.size(), 2U);
  for (const uint64_t missing : lines) {
    std::vector<LandedLine> first;
    for (const uint64_t line : lines)
      if (line != missing) first.push_back({line, 0xff});
    for (const unsigned mask : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 0xfcU, 0xffU}) {
      const auto torn = *RecorderRegion::Create(region.CrashImage(first)->bytes());
      SuperblockPair again = *SuperblockPair::Load(*torn);
      ASSERT_EQ(again.superblock().compat, 0U);
      torn->FailDrain(2, false);
      const bool updated = update(*torn, again, 2).has_value();
      std::vector<LandedLine> second;
      for (const uint64_t line : torn->InFlightLines())
        second.push_back({line, static_cast<uint8_t>(line == lines[0] ? mask : 0xff)});
      const auto image = *RecorderRegion::Create(torn->CrashImage(second)->bytes());
      const uint64_t compat = SuperblockPair::Load(*image)->superblock().compat;
      EXPECT_TRUE(compat == 2 || (!updated && compat == 0)) << missing << ", mask " << mask;
    }
  }
}

TEST(SuperblockStore, AFailedUpdateIsNotVisible) {
  auto region = *RecorderRegion::Create(kSize);
  RecorderRegion& recorder = *region;
  const auto pool = test::MemoryPool::Create(std::move(region));
  Superblock next = pool->superblock();
  SetLabel(next, "next");
  recorder.FailDrain(1, false);
  EXPECT_EQ(pool->StoreSuperblock(next).error().code, ErrorCode::kIo);
  EXPECT_EQ(LabelOf(pool->superblock()), "");
  EXPECT_TRUE(pool->StoreSuperblock(next));
  EXPECT_EQ(LabelOf(pool->superblock()), "next");
  auto image = *RecorderRegion::Create(recorder.CrashImage({})->bytes());
  const auto again = test::MemoryPool::Open(std::move(image));
  ASSERT_TRUE(again);
  EXPECT_EQ(LabelOf((*again)->superblock()), "next");
}

TEST(PmMode, NamesAreThoseOfTheOption) {
  EXPECT_EQ(*ParsePmMode("direct"), PmMode::kDirect);
  EXPECT_EQ(*ParsePmMode("shadow"), PmMode::kShadow);
  EXPECT_EQ(*ParsePmMode("shadow-half"), PmMode::kShadowHalf);
  EXPECT_EQ(ParsePmMode("Direct").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace mirdax
