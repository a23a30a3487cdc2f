// SPDX-License-Identifier: BSD-2-Clause
// Modes, owners, times, set-id bits, statfs.
#include <sys/statvfs.h>

#include <tuple>

#include "tests/system/posix/mount.h"

namespace mirdax::test {
namespace {

using Attributes = PosixTest;

constexpr uid_t kUser = 12345;

mode_t Permissions(const struct stat& values) { return values.st_mode & 07777; }

bool Later(const timespec& a, const timespec& b) {
  return std::tie(a.tv_sec, a.tv_nsec) > std::tie(b.tv_sec, b.tv_nsec);
}

TEST_F(Attributes, ChmodAndChownChangeWhatTheySayAndTheChangeTime) {
  OpenFile("f");
  const struct stat before = Stat("f");
  usleep(20000);
  ASSERT_EQ(chmod(Path("f").c_str(), 01640), 0);
  ASSERT_EQ(chown(Path("f").c_str(), 7, 8), 0);
  const struct stat after = Stat("f");
  EXPECT_EQ(Permissions(after), 01640U);
  EXPECT_EQ(after.st_uid, 7U);
  EXPECT_EQ(after.st_gid, 8U);
  EXPECT_TRUE(Later(after.st_ctim, before.st_ctim));
  EXPECT_FALSE(Later(after.st_mtim, before.st_mtim));
}

TEST_F(Attributes, TheUmaskTakesBitsFromNewFilesAndDirectories) {
  umask(027);
  OpenFile("f", O_CREAT | O_WRONLY, 0666);
  ASSERT_EQ(mkdir(Path("d").c_str(), 0777), 0);
  ASSERT_EQ(mkfifo(Path("p").c_str(), 0666), 0);
  EXPECT_EQ(Permissions(Stat("f")), 0640U);
  EXPECT_EQ(Permissions(Stat("d")), 0750U);
  EXPECT_EQ(Permissions(Stat("p")), 0640U);
}

TEST_F(Attributes, TimesAreKeptToTheNanosecondAndBeforeTheEpoch) {
  OpenFile("f");
  const timespec times[2] = {{.tv_sec = -5, .tv_nsec = 123456789},
                             {.tv_sec = 4102444800, .tv_nsec = 999999999}};
  ASSERT_EQ(utimensat(AT_FDCWD, Path("f").c_str(), times, 0), 0);
  const struct stat values = Stat("f");
  EXPECT_EQ(values.st_atim.tv_sec, -5);
  EXPECT_EQ(values.st_atim.tv_nsec, 123456789);
  EXPECT_EQ(values.st_mtim.tv_sec, 4102444800);
  EXPECT_EQ(values.st_mtim.tv_nsec, 999999999);
}

TEST_F(Attributes, UtimeNowSetsNowAndUtimeOmitLeavesAlone) {
  OpenFile("f");
  const timespec old[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, Path("f").c_str(), old, 0), 0);
  const timespec now[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                           {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
  ASSERT_EQ(utimensat(AT_FDCWD, Path("f").c_str(), now, 0), 0);
  EXPECT_EQ(Stat("f").st_atim.tv_sec, 1000);
  EXPECT_NEAR(static_cast<double>(Stat("f").st_mtim.tv_sec), static_cast<double>(time(nullptr)), 5);
}

TEST_F(Attributes, SymlinksHaveTimesOfTheirOwn) {
  OpenFile("f");
  ASSERT_EQ(symlink("f", Path("l").c_str()), 0);
  const timespec old[2] = {{.tv_sec = 2000, .tv_nsec = 0}, {.tv_sec = 2000, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, Path("l").c_str(), old, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(Stat("l").st_mtim.tv_sec, 2000);
  EXPECT_NE(Stat("f").st_mtim.tv_sec, 2000);
}

TEST_F(Attributes, AWriteChangesTheTimesThatStatHadCached) {
  const Fd fd = OpenFile("f");
  const struct stat before = Stat("f");
  usleep(20000);
  ASSERT_EQ(write(fd, "x", 1), 1);
  const struct stat after = Stat("f");
  EXPECT_TRUE(Later(after.st_mtim, before.st_mtim));
  EXPECT_TRUE(Later(after.st_ctim, before.st_ctim));
  EXPECT_EQ(after.st_size, 1);
}

TEST_F(Attributes, AChangeInADirectoryChangesItsTimes) {
  const struct stat before = Stat("");
  usleep(20000);
  OpenFile("f");
  const struct stat created = Stat("");
  EXPECT_TRUE(Later(created.st_mtim, before.st_mtim));
  usleep(20000);
  ASSERT_EQ(unlink(Path("f").c_str()), 0);
  EXPECT_TRUE(Later(Stat("").st_mtim, created.st_mtim));
}

TEST_F(Attributes, BlocksCountWhatIsAllocated) {
  if (Writeback()) GTEST_SKIP() << "the filesystem learns of data when the kernel flushes it";
  const Fd fd = OpenFile("f");
  EXPECT_EQ(Stat("f").st_blocks, 0);
  ASSERT_EQ(ftruncate(fd, 1 << 20), 0);
  EXPECT_EQ(Stat("f").st_blocks, 0);
  ASSERT_EQ(pwrite(fd, "x", 1, 500000), 1);
  EXPECT_EQ(Stat("f").st_blocks, 8);
  EXPECT_EQ(Stat("f").st_size, 1 << 20);
}

TEST_F(Attributes, AWriteByAUserClearsSetIdBits) {
  OpenFile("f");
  ASSERT_EQ(chown(Path("f").c_str(), kUser, kUser), 0);
  ASSERT_EQ(chmod(Path("f").c_str(), 06755), 0);
  EXPECT_EQ(AsUser(kUser,
                   [&] {
                     const Fd fd(open(Path("f").c_str(), O_WRONLY));
                     return write(fd, "x", 1) == 1 ? 0 : 1;
                   }),
            0);
  EXPECT_EQ(Permissions(Stat("f")), 0755U);
}

TEST_F(Attributes, ATruncationByAUserClearsSetIdBits) {
  for (const bool by_open : {false, true}) {
    WriteFile("f", "abc");
    ASSERT_EQ(chown(Path("f").c_str(), kUser, kUser), 0);
    ASSERT_EQ(chmod(Path("f").c_str(), 06755), 0);
    EXPECT_EQ(AsUser(kUser,
                     [&] {
                       if (!by_open) return truncate(Path("f").c_str(), 1) == 0 ? 0 : 1;
                       return Fd(open(Path("f").c_str(), O_WRONLY | O_TRUNC)) >= 0 ? 0 : 1;
                     }),
              0);
    EXPECT_EQ(Permissions(Stat("f")), 0755U) << (by_open ? "O_TRUNC" : "truncate");
  }
}

TEST_F(Attributes, AnAllocationByAUserClearsSetIdBits) {
  for (const int mode : {0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE}) {
    WriteFile("f", "abc");
    ASSERT_EQ(chown(Path("f").c_str(), kUser, kUser), 0);
    ASSERT_EQ(chmod(Path("f").c_str(), 06755), 0);
    EXPECT_EQ(AsUser(kUser,
                     [&] {
                       const Fd fd(open(Path("f").c_str(), O_WRONLY));
                       return fallocate(fd, mode, 0, 4096) == 0 ? 0 : 1;
                     }),
              0);
    EXPECT_EQ(Permissions(Stat("f")), 0755U) << "mode " << mode;
  }
}

TEST_F(Attributes, SetGidWithoutExecutionStaysForThoseInTheGroupOnly) {
  constexpr gid_t kOther = 4242;
  for (const gid_t group : {gid_t{kUser}, kOther}) {
    WriteFile("f", "abc");
    ASSERT_EQ(chown(Path("f").c_str(), kUser, group), 0);
    ASSERT_EQ(chmod(Path("f").c_str(), 02767), 0);
    EXPECT_EQ(AsUser(kUser,
                     [&] {
                       const Fd fd(open(Path("f").c_str(), O_WRONLY));
                       return write(fd, "x", 1) == 1 ? 0 : 1;
                     }),
              0);
    EXPECT_EQ(Permissions(Stat("f")), group == kOther ? 0767U : 02767U);
  }
}

TEST_F(Attributes, AWriteByRootKeepsSetIdBits) {
  const Fd fd = OpenFile("f");
  ASSERT_EQ(chmod(Path("f").c_str(), 06755), 0);
  ASSERT_EQ(write(fd, "x", 1), 1);
  EXPECT_EQ(Permissions(Stat("f")), 06755U);
}

TEST_F(Attributes, AChangeOfOwnerClearsSetIdBits) {
  OpenFile("f");
  ASSERT_EQ(chown(Path("f").c_str(), kUser, kUser), 0);
  ASSERT_EQ(chmod(Path("f").c_str(), 06755), 0);
  ASSERT_EQ(AsUser(kUser, [&] { return chown(Path("f").c_str(), kUser, kUser) == 0 ? 0 : 1; }), 0);
  EXPECT_EQ(Permissions(Stat("f")), 0755U);
  ASSERT_EQ(chmod(Path("f").c_str(), 06755), 0);
  ASSERT_EQ(chown(Path("f").c_str(), 1, 1), 0);
  EXPECT_EQ(Permissions(Stat("f")), 0755U);
}

TEST_F(Attributes, NewFilesBelongToTheCallerAndInASetGidDirectoryToItsGroup) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0777), 0);
  ASSERT_EQ(chown(Path("d").c_str(), 0, 4242), 0);
  ASSERT_EQ(chmod(Path("d").c_str(), 02777), 0);
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
  ASSERT_EQ(AsUser(kUser,
                   [&] {
                     const Fd a(open(Path("plain").c_str(), O_CREAT | O_WRONLY, 0600));
                     const Fd b(open(Path("d/f").c_str(), O_CREAT | O_WRONLY, 0600));
                     return a >= 0 && b >= 0 && mkdir(Path("d/sub").c_str(), 0755) == 0 ? 0 : 1;
                   }),
            0);
  EXPECT_EQ(Stat("plain").st_uid, kUser);
  EXPECT_EQ(Stat("plain").st_gid, kUser);
  EXPECT_EQ(Stat("d/f").st_uid, kUser);
  EXPECT_EQ(Stat("d/f").st_gid, 4242U);
  EXPECT_EQ(Stat("d/sub").st_gid, 4242U);
  EXPECT_EQ(Permissions(Stat("d/sub")), 02755U);
}

TEST_F(Attributes, PermissionsAreEnforcedForOthers) {
  WriteFile("secret", "x");
  ASSERT_EQ(chmod(Path("secret").c_str(), 0600), 0);
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(open(Path("secret").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(unlink(Path("secret").c_str())); }), EACCES);
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(chmod(Path("secret").c_str(), 0666)); }), EPERM);
}

TEST_F(Attributes, AStickyDirectoryProtectsFilesOfOthers) {
  ASSERT_EQ(mkdir(Path("tmp").c_str(), 0777), 0);
  ASSERT_EQ(chmod(Path("tmp").c_str(), 01777), 0);
  OpenFile("tmp/mine");
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(unlink(Path("tmp/mine").c_str())); }), EPERM);
}

TEST_F(Attributes, StatvfsAddsUp) {
  struct statvfs before {};
  ASSERT_EQ(statvfs(directory_.c_str(), &before), 0);
  EXPECT_EQ(before.f_namemax, 255U);
  EXPECT_GT(before.f_blocks, before.f_bfree);
  EXPECT_GE(before.f_bfree, before.f_bavail);
  EXPECT_GT(before.f_files, before.f_ffree);
  WriteFile("f", std::string(1 << 20, 'x'));
  struct statvfs after {};
  ASSERT_EQ(statvfs(directory_.c_str(), &after), 0);
  EXPECT_GE(before.f_bfree - after.f_bfree, (1U << 20) / before.f_frsize);
  EXPECT_EQ(before.f_ffree - after.f_ffree, 1U);
}

}  // namespace
}  // namespace mirdax::test
