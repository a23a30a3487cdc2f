// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/shadow_region.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "fs/format/layout.h"
#include "fs/pmem/pool_file.h"
#include "tests/support/temp_dir.h"

namespace mirdax {
namespace {

constexpr uint64_t kSize = uint64_t{1} << 20;

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// What is in the pool's file after a process did `work` and was killed.
std::string AfterSigkill(PmMode mode, uint64_t seed, const std::function<void(Region&)>& work) {
  const test::TempDir dir("/dev/shm");
  const std::string path = dir.File("pool");
  std::ofstream(path).close();
  EXPECT_EQ(truncate(path.c_str(), kSize), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto file = PoolFile::Open(path, PoolAccess::kExclusive);
    auto region = (*file)->Map({.access = PoolAccess::kExclusive, .pm = mode, .pm_seed = seed});
    work(**region);
    raise(SIGKILL);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  // The lock went with the process.
  EXPECT_TRUE(PoolFile::Open(path, PoolAccess::kExclusive));
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kSize, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

TEST(ShadowRegion, AKilledProcessLeavesExactlyWhatItDrained) {
  const std::string bytes = AfterSigkill(PmMode::kShadow, 0, [](Region& region) {
    const std::string text(64, 'd');
    region.Write(0, Bytes(text));
    region.Flush(0, 64);
    region.Stream(4096, Bytes(text));
    region.Store64(8192, 0x6464646464646464);
    region.Flush(8192, 8);
    std::memset(region.memory().data() + 12288, 'd', 64);  // as a transport does
    region.Flush(12288, 64);
    region.Write(16384, Bytes(text));  // never flushed
    if (!region.Drain()) _exit(1);
    region.Write(64, Bytes(text));
    region.Flush(64, 64);  // never drained
    region.Stream(4096 + 64, Bytes(text));
    region.Store64(8192 + 64, 1);
    region.StreamZeros(0, 32);
    std::memset(region.memory().data() + 12288 + 64, 'd', 64);
  });
  std::string expected(kSize, '\0');
  expected.replace(0, 64, 64, 'd');
  expected.replace(4096, 64, 64, 'd');
  expected.replace(8192, 8, 8, 'd');
  expected.replace(12288, 64, 64, 'd');
  EXPECT_TRUE(bytes == expected);
}

TEST(ShadowRegion, HalfOfWhatWasInFlightReachesThePool) {
  const auto work = [](Region& region) {
    const std::string text(kSize / 2, 'd');
    region.Stream(0, Bytes(text));
    if (!region.Drain()) _exit(1);
    region.Write(kSize / 2, Bytes(text));
  };
  const std::string bytes = AfterSigkill(PmMode::kShadowHalf, 3, work);
  EXPECT_TRUE(bytes.substr(0, kSize / 2) == std::string(kSize / 2, 'd'));
  uint64_t whole = 0;
  uint64_t torn = 0;
  for (uint64_t line = kSize / 2; line < kSize; line += kLineSize) {
    const std::string_view text = std::string_view(bytes).substr(line, kLineSize);
    const auto landed = static_cast<uint64_t>(std::count(text.begin(), text.end(), 'd'));
    whole += landed == kLineSize ? 1 : 0;
    torn += landed > 0 && landed < kLineSize ? 1 : 0;
    for (size_t word = 0; word < kLineSize; word += 8)  // never torn inside 8 bytes
      ASSERT_TRUE(text.substr(word, 8) == std::string(8, 'd') ||
                  text.substr(word, 8) == std::string(8, '\0'));
  }
  const uint64_t lines = kSize / 2 / kLineSize;
  EXPECT_GT(whole, lines / 4);
  EXPECT_LT(whole, lines / 2);
  EXPECT_GT(torn, lines / 16);
  // The seed decides.
  EXPECT_TRUE(AfterSigkill(PmMode::kShadowHalf, 3, work) == bytes);
  EXPECT_FALSE(AfterSigkill(PmMode::kShadowHalf, 4, work) == bytes);
}

}  // namespace
}  // namespace mirdax
