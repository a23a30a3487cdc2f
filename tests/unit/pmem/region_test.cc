// SPDX-License-Identifier: BSD-2-Clause
// One contract, every Region.
#include "fs/pmem/region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fs/pmem/pool_file.h"
#include "fs/pmem/recorder_region.h"
#include "tests/support/temp_dir.h"

namespace mirdax {
namespace {

constexpr uint64_t kSize = uint64_t{4} << 20;

enum class Medium { kTmpfs, kPlainFile, kRecorder };

struct Variant {
  const char* name;
  Medium medium;
  PmMode mode;
  const char* forced_granularity;  // libpmem2 takes the file for PM of this granularity
  Granularity granularity;
};

constexpr Variant kVariants[] = {
    {"Tmpfs", Medium::kTmpfs, PmMode::kDirect, nullptr, Granularity::kPage},
    {"PlainFile", Medium::kPlainFile, PmMode::kDirect, nullptr, Granularity::kPage},
    {"CacheLine", Medium::kTmpfs, PmMode::kDirect, "CACHE_LINE", Granularity::kCacheLine},
    {"Byte", Medium::kTmpfs, PmMode::kDirect, "BYTE", Granularity::kByte},
    {"Shadow", Medium::kTmpfs, PmMode::kShadow, nullptr, Granularity::kPage},
    {"ShadowHalf", Medium::kTmpfs, PmMode::kShadowHalf, nullptr, Granularity::kPage},
    {"Recorder", Medium::kRecorder, PmMode::kDirect, nullptr, Granularity::kCacheLine},
};

// A region, and what a power cut would leave of it.
class Fixture {
 public:
  explicit Fixture(const Variant& variant)
      : dir_(variant.medium == Medium::kTmpfs ? "/dev/shm" : "/tmp") {
    if (variant.medium == Medium::kRecorder) {
      auto recorder = RecorderRegion::Create(kSize);
      EXPECT_TRUE(recorder);
      recorder_ = recorder->get();
      region_ = std::move(*recorder);
      return;
    }
    std::ofstream(path()).close();
    EXPECT_EQ(truncate(path().c_str(), kSize), 0);
    auto file = PoolFile::Open(path(), PoolAccess::kExclusive);
    EXPECT_TRUE(file) << file.error().message;
    file_ = std::move(*file);
    if (variant.forced_granularity != nullptr)
      setenv("PMEM2_FORCE_GRANULARITY", variant.forced_granularity, 1);
    auto region = file_->Map({.access = PoolAccess::kExclusive, .pm = variant.mode, .pm_seed = 5});
    unsetenv("PMEM2_FORCE_GRANULARITY");
    EXPECT_TRUE(region) << region.error().message;
    region_ = std::move(*region);
  }

  Region& region() { return *region_; }

  // The bytes that outlive the process: the file's pages, or what the recorder says.
  std::string Survives(uint64_t offset, uint64_t length) const {
    if (recorder_ != nullptr) {
      const auto image = recorder_->CrashImage({});
      EXPECT_TRUE(image);
      return {reinterpret_cast<const char*>(image->bytes().data()) + offset, length};
    }
    std::string bytes(length, '\0');
    const int fd = open(path().c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(pread(fd, bytes.data(), length, static_cast<off_t>(offset)),
              static_cast<ssize_t>(length));
    close(fd);
    return bytes;
  }

 private:
  std::string path() const { return dir_.File("pool"); }

  const test::TempDir dir_;
  std::unique_ptr<PoolFile> file_;
  std::unique_ptr<Region> region_;
  RecorderRegion* recorder_ = nullptr;
};

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

class RegionContract : public testing::TestWithParam<Variant> {};

TEST_P(RegionContract, ReportsItsGranularityAndSize) {
  Fixture fixture(GetParam());
  EXPECT_EQ(fixture.region().granularity(), GetParam().granularity);
  EXPECT_EQ(fixture.region().size(), kSize);
}

TEST_P(RegionContract, StoresAreReadAtOnce) {
  Fixture fixture(GetParam());
  Region& region = fixture.region();
  const std::string text(1000, 'w');
  region.Write(100, Bytes(text));
  EXPECT_EQ(std::memcmp(region.At(100, 1000), text.data(), 1000), 0);
  region.Stream(5001, Bytes(text));
  EXPECT_EQ(std::memcmp(region.At(5001, 1000), text.data(), 1000), 0);
  region.StreamZeros(5001 + 10, 500);
  EXPECT_EQ(*region.At(5001 + 9, 1), std::byte{'w'});
  EXPECT_EQ(*region.At(5001 + 10, 1), std::byte{0});
  EXPECT_EQ(*region.At(5001 + 509, 1), std::byte{0});
  EXPECT_EQ(*region.At(5001 + 510, 1), std::byte{'w'});
  region.Store64(64, 0x1122334455667788);
  EXPECT_EQ(region.As<uint64_t>(64), 0x1122334455667788U);
}

TEST_P(RegionContract, WhatWasFlushedAndDrainedSurvives) {
  Fixture fixture(GetParam());
  Region& region = fixture.region();
  const std::string text(10'000, 'x');
  region.Write(60, Bytes(text));
  region.Flush(60, text.size());
  region.Stream(200'001, Bytes(text));
  region.Store64(kSize - 8, 7);
  region.Flush(kSize - 8, 8);
  ASSERT_TRUE(region.Drain());
  EXPECT_EQ(fixture.Survives(60, text.size()), text);
  EXPECT_EQ(fixture.Survives(200'001, text.size()), text);
  EXPECT_EQ(fixture.Survives(kSize - 8, 8), std::string("\7\0\0\0\0\0\0\0", 8));
  region.StreamZeros(200'001, 5000);
  ASSERT_TRUE(region.Drain());
  EXPECT_EQ(fixture.Survives(200'001, 5001), std::string(5000, '\0') + "x");
}

TEST_P(RegionContract, BytesThatATransportStoredSurviveAFlush) {
  Fixture fixture(GetParam());
  std::memset(fixture.region().memory().data() + 777, 'p', 3000);
  ASSERT_TRUE(fixture.region().Persist(777, 3000));
  EXPECT_EQ(fixture.Survives(777, 3000), std::string(3000, 'p'));
}

TEST_P(RegionContract, NothingToDrainIsFine) {
  Fixture fixture(GetParam());
  EXPECT_TRUE(fixture.region().Drain());
  fixture.region().Flush(kSize, 0);
  fixture.region().Write(kSize, {});
  fixture.region().Stream(kSize, {});
  EXPECT_TRUE(fixture.region().Drain());
}

TEST_P(RegionContract, ThreadsDrainWhatTheyFlushed) {
  Fixture fixture(GetParam());
  Region& region = fixture.region();
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kStripe = 8192;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string text(100, static_cast<char>('a' + t));
      for (uint64_t i = 0; i < 60; ++i) {
        const uint64_t offset = (i * kThreads + t) * kStripe;
        if (i % 2 == 0) {
          region.Write(offset, Bytes(text));
          region.Flush(offset, text.size());
        } else {
          region.Stream(offset, Bytes(text));
        }
        ASSERT_TRUE(region.Drain());
        ASSERT_EQ(fixture.Survives(offset, text.size()), text);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// Kilobytes of the mapping at `address` that the kernel has not written to the medium.
uint64_t DirtyKilobytes(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  const std::string begin = fmt::format("{:x}-", reinterpret_cast<uintptr_t>(address));
  bool inside = false;
  uint64_t dirty = 0;
  for (std::string line; std::getline(smaps, line);) {
    if (line.find("-") < line.find(" ") && line.find(":") > line.find(" "))
      inside = line.starts_with(begin);
    if (inside && (line.starts_with("Shared_Dirty:") || line.starts_with("Private_Dirty:")))
      dirty += std::stoull(line.substr(line.find(':') + 1));
  }
  return dirty;
}

// libpmem2's deep flush returns at once here: only msync reaches the medium.
TEST(PageRegion, ADrainWritesThePagesToTheMedium) {
  struct statfs info = {};
  ASSERT_EQ(statfs("/tmp", &info), 0);
  if (info.f_type == TMPFS_MAGIC) GTEST_SKIP() << "/tmp is on no medium";
  Fixture fixture(kVariants[1]);
  Region& region = fixture.region();
  for (const uint64_t offset : {uint64_t{0}, uint64_t{8192}, kSize - 4096}) {
    region.Write(offset, Bytes("dirty"));
    region.Flush(offset, 5);
  }
  EXPECT_GE(DirtyKilobytes(region.memory().data()), 12U);
  ASSERT_TRUE(region.Drain());
  EXPECT_EQ(DirtyKilobytes(region.memory().data()), 0U);
}

using RegionContractDeathTest = RegionContract;

TEST_P(RegionContractDeathTest, AStoreOutsideThePoolEndsTheProcess) {
  Fixture fixture(GetParam());
  Region& region = fixture.region();
  const std::string text(16, 'x');
  EXPECT_DEATH(region.Write(kSize - 8, Bytes(text)), "");
  EXPECT_DEATH(region.Stream(UINT64_MAX - 4, Bytes(text)), "");
  EXPECT_DEATH(region.Store64(kSize, 1), "");
  EXPECT_DEATH(region.Store64(4, 1), "");
  EXPECT_DEATH(region.Flush(0, kSize + 1), "");
  EXPECT_DEATH(region.At(kSize, 1), "");
}

std::string NameOf(const testing::TestParamInfo<Variant>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Every, RegionContract, testing::ValuesIn(kVariants), NameOf);
INSTANTIATE_TEST_SUITE_P(Every, RegionContractDeathTest, testing::ValuesIn(kVariants), NameOf);

}  // namespace
}  // namespace mirdax
