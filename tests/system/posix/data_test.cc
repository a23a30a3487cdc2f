// SPDX-License-Identifier: BSD-2-Clause
// The bytes of files: read, write, sparse files, allocation, direct and synchronous I/O, mappings.
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "tests/system/posix/mount.h"

namespace mirdax::test {
namespace {

using Data = PosixTest;

constexpr size_t kBlock = 4096;

std::string Pattern(size_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(engine());
  return bytes;
}

TEST_F(Data, WhatWasWrittenIsReadBackAtEveryAlignment) {
  std::string model;
  const Fd fd = OpenFile("f");
  std::mt19937 engine(1);
  for (int i = 0; i < 500; ++i) {
    const size_t offset = engine() % 300000;
    const std::string bytes = Pattern(1 + engine() % 20000, static_cast<unsigned>(i));
    ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
    if (model.size() < offset + bytes.size()) model.resize(offset + bytes.size());
    model.replace(offset, bytes.size(), bytes);
    if (i % 50 == 0) {
      ASSERT_EQ(fsync(fd), 0);
    }
  }
  EXPECT_TRUE(ReadFile("f") == model);
}

TEST_F(Data, ReadsOfColdPagesAgreeWithWhatWasWritten) {
  const std::string bytes = Pattern(5 << 20, 2);
  WriteFile("f", bytes);
  const Fd fd = OpenFile("f", O_RDONLY);
  ASSERT_EQ(fsync(fd), 0);
  ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_TRUE(ReadFile("f") == bytes);
}

TEST_F(Data, AHoleReadsAsZerosAndASparseFileTakesNoSpace) {
  const Fd fd = OpenFile("f");
  constexpr off_t kFar = off_t{64} << 30;
  ASSERT_EQ(pwrite(fd, "end", 3, kFar), 3);
  EXPECT_EQ(Stat("f").st_size, kFar + 3);
  EXPECT_LE(Stat("f").st_blocks, 16);
  std::string hole(kBlock, 'x');
  ASSERT_EQ(pread(fd, hole.data(), kBlock, kFar / 2), static_cast<ssize_t>(kBlock));
  EXPECT_EQ(hole, std::string(kBlock, '\0'));
}

TEST_F(Data, TruncationForgetsAndGrowthShowsZeros) {
  WriteFile("f", Pattern(10000, 3));
  const Fd fd = OpenFile("f", O_RDWR);
  ASSERT_EQ(ftruncate(fd, 5000), 0);
  ASSERT_EQ(ftruncate(fd, 9000), 0);
  EXPECT_EQ(ReadFile("f"), Pattern(10000, 3).substr(0, 5000) + std::string(4000, '\0'));
  EXPECT_EQ(ErrnoOf(ftruncate(fd, -1)), EINVAL);
}

TEST_F(Data, OpenWithTruncEmptiesTheFileForAllWhoHaveItOpen) {
  WriteFile("f", "abcdef");
  const Fd reader = OpenFile("f", O_RDONLY);
  OpenFile("f", O_WRONLY | O_TRUNC);
  char byte = 0;
  EXPECT_EQ(pread(reader, &byte, 1, 0), 0);
  EXPECT_EQ(Stat("f").st_size, 0);
}

TEST_F(Data, AppendersNeverOverwriteEachOther) {
  constexpr int kWriters = 4;
  constexpr int kRecords = 500;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      const Fd fd = OpenFile("log", O_WRONLY | O_CREAT | O_APPEND);
      const std::string record(16, static_cast<char>('a' + w));
      for (int i = 0; i < kRecords; ++i) EXPECT_EQ(write(fd, record.data(), record.size()), 16);
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string all = ReadFile("log");
  ASSERT_EQ(all.size(), size_t{kWriters} * kRecords * 16);
  std::vector<int> seen(kWriters);
  for (size_t i = 0; i < all.size(); i += 16) {
    ASSERT_EQ(all.substr(i, 16), std::string(16, all[i])) << "torn record at " << i;
    ++seen[static_cast<size_t>(all[i] - 'a')];
  }
  EXPECT_EQ(seen, std::vector<int>(kWriters, kRecords));
}

TEST_F(Data, SynchronousWritesSucceedInEveryFlavour) {
  for (const int flag : {O_SYNC, O_DSYNC}) {
    const Fd fd = OpenFile("f", O_RDWR | O_CREAT | O_TRUNC | flag);
    EXPECT_EQ(pwrite(fd, "one", 3, 0), 3);
    EXPECT_EQ(pwrite(fd, "two", 3, 100000), 3);
    EXPECT_EQ(Stat("f").st_size, 100003);
  }
  const Fd fd = OpenFile("f", O_RDWR);
  iovec vector{.iov_base = const_cast<char*>("three"), .iov_len = 5};
  EXPECT_EQ(pwritev2(fd, &vector, 1, 50, RWF_DSYNC), 5);
  EXPECT_EQ(fdatasync(fd), 0);
  EXPECT_EQ(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
}

TEST_F(Data, DirectIoAgreesWithTheCache) {
  const std::unique_ptr<void, decltype(&free)> memory(aligned_alloc(kBlock, 4 * kBlock), &free);
  char* buffer = static_cast<char*>(memory.get());
  WriteFile("f", Pattern(4 * kBlock, 4));
  const Fd direct = OpenFile("f", O_RDWR | O_DIRECT);
  ASSERT_EQ(pread(direct, buffer, 4 * kBlock, 0), static_cast<ssize_t>(4 * kBlock));
  EXPECT_TRUE(std::string(buffer, 4 * kBlock) == Pattern(4 * kBlock, 4));
  std::memset(buffer, 'd', 2 * kBlock);
  ASSERT_EQ(pwrite(direct, buffer, 2 * kBlock, kBlock), static_cast<ssize_t>(2 * kBlock));
  EXPECT_EQ(ReadFile("f").substr(kBlock, 2 * kBlock), std::string(2 * kBlock, 'd'));
}

TEST_F(Data, FallocateReservesSpaceThatReadsAsZeros) {
  const Fd fd = OpenFile("f");
  ASSERT_EQ(fallocate(fd, 0, 0, 1 << 20), 0);
  EXPECT_EQ(Stat("f").st_size, 1 << 20);
  EXPECT_GE(Stat("f").st_blocks, (1 << 20) / 512);
  EXPECT_EQ(ReadFile("f"), std::string(1 << 20, '\0'));
  ASSERT_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20), 0);
  EXPECT_EQ(Stat("f").st_size, 1 << 20);
  EXPECT_GE(Stat("f").st_blocks, (2 << 20) / 512);
}

TEST_F(Data, PunchingAHoleZeroesAndFreesExactlyItsRange) {
  std::string model = Pattern(10 * kBlock, 5);
  WriteFile("f", model);
  const Fd fd = OpenFile("f", O_RDWR);
  ASSERT_EQ(fsync(fd), 0);
  ASSERT_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 5 * kBlock), 0);
  model.replace(1000, 5 * kBlock, 5 * kBlock, '\0');
  EXPECT_TRUE(ReadFile("f") == model);
  EXPECT_EQ(Stat("f").st_blocks, 6 * 8);
}

TEST_F(Data, ZeroRangeZeroesAndMayGrow) {
  std::string model = Pattern(3 * kBlock, 6);
  WriteFile("f", model);
  const Fd fd = OpenFile("f", O_RDWR);
  ASSERT_EQ(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 100, 5 * kBlock), 0);
  model.replace(100, std::string::npos, 3 * kBlock - 100, '\0');
  EXPECT_TRUE(ReadFile("f") == model);
  ASSERT_EQ(fallocate(fd, FALLOC_FL_ZERO_RANGE, kBlock, 5 * kBlock), 0);
  EXPECT_EQ(Stat("f").st_size, static_cast<off_t>(6 * kBlock));
  EXPECT_EQ(ErrnoOf(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, kBlock)), EOPNOTSUPP);
}

TEST_F(Data, SeekFindsDataAndHoles) {
  if (Writeback()) GTEST_SKIP() << "the filesystem learns of data when the kernel flushes it";
  const Fd fd = OpenFile("f");
  ASSERT_EQ(ftruncate(fd, 100 * kBlock), 0);
  ASSERT_EQ(pwrite(fd, "x", 1, 10 * kBlock + 5), 1);
  ASSERT_EQ(fsync(fd), 0);
  EXPECT_EQ(lseek(fd, 0, SEEK_DATA), static_cast<off_t>(10 * kBlock));
  EXPECT_EQ(lseek(fd, 10 * kBlock, SEEK_HOLE), static_cast<off_t>(11 * kBlock));
  EXPECT_EQ(lseek(fd, 0, SEEK_HOLE), 0);
  EXPECT_EQ(ErrnoOf(lseek(fd, 11 * kBlock, SEEK_DATA)), ENXIO);
  EXPECT_EQ(ErrnoOf(lseek(fd, 200 * kBlock, SEEK_HOLE)), ENXIO);
}

TEST_F(Data, WhatIsNotYetFlushedIsNeverTakenForAHole) {
  const std::string bytes = Pattern(20 * kBlock, 9);
  const Fd fd = OpenFile("f");
  ASSERT_EQ(ftruncate(fd, 40 * kBlock), 0);
  ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), 10 * kBlock),
            static_cast<ssize_t>(bytes.size()));
  EXPECT_GT(Stat("f").st_blocks, 0);
  EXPECT_LE(lseek(fd, 0, SEEK_DATA), static_cast<off_t>(10 * kBlock));
  ASSERT_EQ(std::system(("cp --sparse=always " + Path("f") + " " + Path("copy")).c_str()), 0);
  EXPECT_TRUE(ReadFile("copy") ==
              std::string(10 * kBlock, '\0') + bytes + std::string(10 * kBlock, '\0'));
}

TEST_F(Data, CopyFileRangeCopiesBytesAndMayGrowTheTarget) {
  const std::string bytes = Pattern(300000, 7);
  WriteFile("a", bytes);
  const Fd from = OpenFile("a", O_RDONLY);
  const Fd to = OpenFile("b");
  off_t from_offset = 1234;
  off_t to_offset = 77;
  size_t left = 200000;
  while (left > 0) {
    const ssize_t n = copy_file_range(from, &from_offset, to, &to_offset, left, 0);
    ASSERT_GT(n, 0) << strerror(errno);
    left -= static_cast<size_t>(n);
  }
  EXPECT_TRUE(ReadFile("b") == std::string(77, '\0') + bytes.substr(1234, 200000));
}

TEST_F(Data, ASharedMappingAgreesWithReadAndWriteAndSurvivesMsync) {
  WriteFile("f", Pattern(8 * kBlock, 8));
  const Fd fd = OpenFile("f", O_RDWR);
  char* map =
      static_cast<char*>(mmap(nullptr, 8 * kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ASSERT_NE(map, MAP_FAILED) << strerror(errno);
  EXPECT_TRUE(std::string(map, 8 * kBlock) == Pattern(8 * kBlock, 8));
  std::memcpy(map + 5000, "mapped", 6);
  char seen[7] = {};
  ASSERT_EQ(pread(fd, seen, 6, 5000), 6);
  EXPECT_STREQ(seen, "mapped");
  ASSERT_EQ(pwrite(fd, "written", 7, 9000), 7);
  EXPECT_EQ(std::string(map + 9000, 7), "written");
  ASSERT_EQ(msync(map, 8 * kBlock, MS_SYNC), 0);
  ASSERT_EQ(munmap(map, 8 * kBlock), 0);
  ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(ReadFile("f").substr(5000, 6), "mapped");
  EXPECT_EQ(ReadFile("f").substr(9000, 7), "written");
}

TEST_F(Data, AMappedProgramRuns) {
  const int status = std::system(
      ("cp /bin/true " + Path("true") + " && chmod 755 " + Path("true") + " && " + Path("true"))
          .c_str());
  EXPECT_EQ(status, 0);
}

TEST_F(Data, AFileMayReachSixteenTebibytes) {
  const Fd fd = OpenFile("f");
  constexpr off_t kEnd = (off_t{16} << 40) - 1;
  ASSERT_EQ(pwrite(fd, "z", 1, kEnd), 1) << strerror(errno);
  ASSERT_EQ(fsync(fd), 0);
  EXPECT_EQ(Stat("f").st_size, kEnd + 1);
  char byte = 0;
  ASSERT_EQ(pread(fd, &byte, 1, kEnd), 1);
  EXPECT_EQ(byte, 'z');
}

TEST_F(Data, ConcurrentReadersAndWritersOfDifferentBlocksDoNotDisturbEachOther) {
  const Fd fd = OpenFile("f");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string mine(kBlock, static_cast<char>('A' + t));
      std::string read(kBlock, '\0');
      for (int i = 0; i < 200; ++i) {
        const off_t offset =
            static_cast<off_t>((static_cast<size_t>(i) * 4 + static_cast<size_t>(t)) * kBlock);
        ASSERT_EQ(pwrite(fd, mine.data(), kBlock, offset), static_cast<ssize_t>(kBlock));
        ASSERT_EQ(pread(fd, read.data(), kBlock, offset), static_cast<ssize_t>(kBlock));
        ASSERT_EQ(read, mine);
        if (i % 20 == 0) {
          ASSERT_EQ(fdatasync(fd), 0);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace mirdax::test
