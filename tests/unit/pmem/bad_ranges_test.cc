// SPDX-License-Identifier: BSD-2-Clause
// A medium that refuses to give bytes, under each kind of region.
#include "fs/pmem/bad_ranges.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "fs/pmem/pool_file.h"
#include "fs/pmem/private_store.h"
#include "fs/pmem/superblock_pair.h"
#include "tests/support/memory_pool.h"
#include "tests/support/poison.h"
#include "tests/support/temp_dir.h"

namespace mirdax {
namespace {

using test::Poison;

constexpr uint64_t kSize = uint64_t{1} << 20;
constexpr uint64_t kPage = 81920;  // where the pages begin that are refused here

struct Kind {
  const char* name;
  PoolAccess access;
  PmMode mode;
  const char* forced_granularity;
  bool writable;
};

constexpr Kind kKinds[] = {
    {"Page", PoolAccess::kExclusive, PmMode::kDirect, nullptr, true},
    {"CacheLine", PoolAccess::kExclusive, PmMode::kDirect, "CACHE_LINE", true},
    {"Byte", PoolAccess::kExclusive, PmMode::kDirect, "BYTE", true},
    {"Shadow", PoolAccess::kExclusive, PmMode::kShadow, nullptr, true},
    {"ShadowHalf", PoolAccess::kExclusive, PmMode::kShadowHalf, nullptr, true},
    {"Snapshot", PoolAccess::kSnapshot, PmMode::kDirect, nullptr, true},
    {"Shared", PoolAccess::kShared, PmMode::kDirect, nullptr, false},
};

class RefusedPage : public testing::TestWithParam<Kind> {
 protected:
  RefusedPage() : dir_("/dev/shm") {
    BadRanges::InstallHandler();
    std::ofstream(path()) << std::string(kSize, 'x');
    auto file = PoolFile::Open(path(), GetParam().access);
    EXPECT_TRUE(file) << file.error().message;
    file_ = std::move(*file);
    if (GetParam().forced_granularity != nullptr)
      setenv("PMEM2_FORCE_GRANULARITY", GetParam().forced_granularity, 1);
    auto region = file_->Map({.access = GetParam().access, .pm = GetParam().mode, .pm_seed = 5});
    unsetenv("PMEM2_FORCE_GRANULARITY");
    EXPECT_TRUE(region) << region.error().message;
    region_ = std::move(*region);
  }
  // Ends the file right before kPage, under the mapping.
  void CutFile() { ASSERT_EQ(truncate(path().c_str(), kPage), 0); }
  char At(uint64_t offset) { return static_cast<char>(*region_->At(offset, 1)); }
  std::string path() const { return dir_.File("pool"); }

  const test::TempDir dir_;
  std::unique_ptr<PoolFile> file_;
  std::unique_ptr<Region> region_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, RefusedPage, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(RefusedPage, ReadsAsZerosAndIsNoted) {
  CutFile();
  EXPECT_FALSE(region_->bad().any());
  EXPECT_EQ(At(kPage - 1), 'x');
  EXPECT_FALSE(region_->bad().any());
  EXPECT_EQ(At(kPage + 100), '\0');
  ASSERT_EQ(region_->bad().count(), 1U);
  EXPECT_EQ(region_->bad().List()[0].range, (PoolRange{kPage, kBlockSize}));
  EXPECT_TRUE(region_->bad().Overlaps(kPage + 4095, 1));
  EXPECT_FALSE(region_->bad().Overlaps(kPage + 4096, 1));
  EXPECT_FALSE(region_->bad().Overlaps(kPage - 1, 1));
  EXPECT_TRUE(region_->bad().Overlaps(kPage - 1, 2));
  EXPECT_EQ(At(kPage), '\0');  // again: still one
  EXPECT_EQ(region_->bad().count(), 1U);
}

TEST_P(RefusedPage, IsFoundByLookingForIt) {
  CutFile();
  FindBad({region_->At(kPage - kBlockSize, 3 * kBlockSize), 3 * kBlockSize});
  EXPECT_EQ(region_->bad().count(), 2U);
  EXPECT_EQ(region_->bad().in_metadata(), 0U);  // looked for as file data
  EXPECT_TRUE(region_->CheckGood(kPage - kBlockSize, kBlockSize));
  const Status bad = region_->CheckGood(kPage + kBlockSize, 8);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ErrorCode::kIo);
  EXPECT_NE(bad.error().message.find("86016"), std::string::npos) << bad.error().message;
}

TEST_P(RefusedPage, TakesNoStoreAndPersistSaysSo) {
  if (!GetParam().writable) GTEST_SKIP() << "takes no stores at all";
  CutFile();
  const std::vector<std::byte> bytes(3 * kBlockSize, std::byte{7});
  region_->Stream(kPage - kBlockSize, bytes);
  // A copy-on-write view of a page that can be read takes stores for itself.
  EXPECT_FALSE(region_->Persist(kPage - kBlockSize, bytes.size()));
  EXPECT_TRUE(region_->Persist(kPage - kBlockSize, kBlockSize));
  EXPECT_TRUE(region_->bad().Overlaps(kPage, 1));
  EXPECT_TRUE(region_->bad().Overlaps(kPage + kBlockSize, 1));
}

TEST_P(RefusedPage, MetBySeveralThreadsAtOnceReadsAsZerosToAll) {
  CutFile();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (uint64_t at = kPage; at < kPage + 50 * kBlockSize; at += kBlockSize) {
        if (At(at) != '\0' || !region_->bad().Overlaps(at, 1)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(RefusedByShadow, WhatTheFileDoesNotTakeAtADrainIsNoted) {
  const test::TempDir dir("/dev/shm");
  BadRanges::InstallHandler();
  std::ofstream(dir.File("pool")) << std::string(kSize, 'x');
  const auto file = PoolFile::Open(dir.File("pool"), PoolAccess::kExclusive);
  ASSERT_TRUE(file);
  const auto region = (*file)->Map({.pm = PmMode::kShadow});
  ASSERT_TRUE(region);
  const std::vector<std::byte> bytes(64, std::byte{7});
  (*region)->Write(kPage, bytes);  // the view has a page of its own now
  ASSERT_EQ(truncate(dir.File("pool").c_str(), kPage), 0);
  EXPECT_FALSE((*region)->Persist(kPage, bytes.size()));
}

TEST(BadRanges, FileDataIsToldFromMetadata) {
  const auto region = test::MemoryPool::MakeRegion(kSize);
  const Poison data(*region, kPage);
  const Poison metadata(*region, 2 * kPage);
  {
    const FileDataAccess access;
    EXPECT_EQ(*region->At(kPage, 1), std::byte{0});
  }
  EXPECT_EQ(region->bad().in_metadata(), 0U);
  EXPECT_EQ(*region->At(2 * kPage, 1), std::byte{0});
  EXPECT_EQ(region->bad().in_metadata(), 1U);
  const std::vector<BadRange> list = region->bad().List();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_FALSE(list[0].metadata);
  EXPECT_TRUE(list[1].metadata);
  EXPECT_NE(DescribeLoss(region->bad()).message.find("163840"), std::string::npos);
}

TEST(BadRanges, WithMoreThanCanBeListedEverythingIsBad) {
  const uint64_t pages = BadRanges::kMost + 1;
  constexpr uint64_t kStep = 2 * kBlockSize;  // else they were one range
  const auto region = test::MemoryPool::MakeRegion((pages + 1) * kStep);
  std::vector<Poison> poisons;
  for (uint64_t page = 0; page < pages; ++page) poisons.emplace_back(*region, page * kStep);
  FindBad({region->At(0, (pages - 1) * kStep), (pages - 1) * kStep});
  EXPECT_EQ(region->bad().in_metadata(), 0U);
  EXPECT_TRUE(region->CheckGood(pages * kStep, 1));
  FindBad({region->At((pages - 1) * kStep, 1), 1});
  EXPECT_NE(region->bad().in_metadata(), 0U);
  EXPECT_FALSE(region->CheckGood(pages * kStep, 1));
  EXPECT_EQ(region->bad().List().size(), BadRanges::kMost);
  EXPECT_FALSE(DescribeLoss(region->bad()).message.empty());
}

TEST(BadRanges, PagesMetOneAfterAnotherAreOneRange) {
  const auto region = test::MemoryPool::MakeRegion(kSize);
  std::vector<Poison> poisons;
  for (uint64_t page = 0; page < 200; ++page) poisons.emplace_back(*region, page * kBlockSize);
  FindBad({region->At(0, kSize), kSize});
  ASSERT_EQ(region->bad().List().size(), 1U);
  EXPECT_EQ(region->bad().List()[0].range, (PoolRange{0, 200 * kBlockSize}));
  EXPECT_EQ(region->bad().count(), 200U);
  EXPECT_TRUE(region->CheckGood(200 * kBlockSize, 1));
}

TEST(BadRanges, EachRegionHasItsOwnList) {
  const auto one = test::MemoryPool::MakeRegion(kSize);
  const auto two = test::MemoryPool::MakeRegion(kSize);
  const Poison poison(*two, kPage);
  EXPECT_EQ(*two->At(kPage, 1), std::byte{0});
  EXPECT_FALSE(one->bad().any());
  EXPECT_TRUE(two->bad().any());
}

TEST(BadRangesDeathTest, AnAccessElsewhereEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        BadRanges::InstallHandler();
        const auto region = test::MemoryPool::MakeRegion(kSize);
        const int empty = memfd_create("empty", MFD_CLOEXEC);
        void* page = mmap(nullptr, kBlockSize, PROT_READ, MAP_SHARED, empty, 0);
        std::_Exit(static_cast<int>(*static_cast<volatile char*>(page)));
      },
      [](int status) {
        return (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) ||
               (WIFEXITED(status) && WEXITSTATUS(status) != 0);  // a sanitizer's report
      },
      "");
}

TEST(BadRangesDeathTest, ASignalThatSomebodySendsEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        BadRanges::InstallHandler();
        raise(SIGBUS);
        std::_Exit(0);
      },
      [](int status) { return !(WIFEXITED(status) && WEXITSTATUS(status) == 0); }, "");
}

TEST(RefusedPrivateBlock, IsNotReplacedByTheOlderOne) {
  const auto pool = test::MemoryPool::Create(uint64_t{16} << 20);
  for (const uint64_t offset : {kPrivateBlockOffset, kPrivateBlockOffset + kBlockSize}) {
    const auto view = test::MemoryPool::MakeRegion(pool->region().size());
    view->Write(0, {pool->region().At(0, kDynamicAreaOffset), kDynamicAreaOffset});
    ASSERT_TRUE(PrivateStore::Open(*view));
    const Poison poison(*view, offset);
    const auto store = PrivateStore::Open(*view);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::kIo);
  }
}

TEST(RefusedPrivateBlock, AnUpdateThatItDoesNotTakeIsNotVisible) {
  const auto pool = test::MemoryPool::Create(uint64_t{16} << 20);
  auto store = PrivateStore::Open(pool->region());
  ASSERT_TRUE(store);
  const uint64_t before = (*store)->Get().sequence;
  const Poison poison(pool->region(), kPrivateBlockOffset + kBlockSize);
  const Status updated = (*store)->Update([](PrivateBlock& block) { ++block.mount_count; });
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, ErrorCode::kIo);
  EXPECT_EQ((*store)->Get().sequence, before);
}

TEST(RefusedSuperblock, IsNoPoolToGoOnWith) {
  const auto pool = test::MemoryPool::Create(uint64_t{16} << 20);
  const Poison poison(pool->region(), kSuperblockOffset);
  const auto pair = SuperblockPair::Load(pool->region());
  ASSERT_FALSE(pair);
  EXPECT_EQ(pair.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace mirdax
