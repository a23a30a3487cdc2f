// SPDX-License-Identifier: BSD-2-Clause
// Names: files, directories, links, renames, special files.
#include <dirent.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <map>
#include <set>

#include "tests/system/posix/mount.h"

namespace mirdax::test {
namespace {

using Names = PosixTest;

int Rename2(const std::string& from, const std::string& to, unsigned flags) {
  return static_cast<int>(
      syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

TEST_F(Names, AFileThatWasNotThereIsThereAfterItsCreation) {
  struct stat values {};
  EXPECT_EQ(ErrnoOf(stat(Path("f").c_str(), &values)), ENOENT);  // cached as absent
  OpenFile("f");
  EXPECT_TRUE(S_ISREG(Stat("f").st_mode));
  ASSERT_EQ(unlink(Path("f").c_str()), 0);
  EXPECT_EQ(ErrnoOf(stat(Path("f").c_str(), &values)), ENOENT);
}

TEST_F(Names, ExclusiveCreationFailsOnAnExistingName) {
  OpenFile("f");
  EXPECT_EQ(ErrnoOf(open(Path("f").c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600)), EEXIST);
  EXPECT_EQ(ErrnoOf(mkdir(Path("f").c_str(), 0700)), EEXIST);
  EXPECT_EQ(ErrnoOf(symlink("x", Path("f").c_str())), EEXIST);
}

TEST_F(Names, ANameMayHave255BytesAndNoMore) {
  OpenFile(std::string(255, 'n'));
  EXPECT_EQ(ErrnoOf(open(Path(std::string(256, 'n')).c_str(), O_CREAT | O_WRONLY, 0600)),
            ENAMETOOLONG);
}

TEST_F(Names, AnyByteButSlashAndNulMayBeInAName) {
  std::string name;
  for (int c = 1; c < 256; ++c)
    if (c != '/') name.push_back(static_cast<char>(c));
  OpenFile(name);
  EXPECT_TRUE(S_ISREG(Stat(name).st_mode));
}

TEST_F(Names, AnUnlinkedOpenFileStaysReadableUntilItIsClosed) {
  const Fd fd = OpenFile("f");
  ASSERT_EQ(write(fd, "abc", 3), 3);
  ASSERT_EQ(unlink(Path("f").c_str()), 0);
  struct stat values {};
  ASSERT_EQ(fstat(fd, &values), 0);
  EXPECT_EQ(values.st_nlink, 0U);
  char buffer[4] = {};
  EXPECT_EQ(pread(fd, buffer, 3, 0), 3);
  EXPECT_STREQ(buffer, "abc");
  EXPECT_EQ(pwrite(fd, "def", 3, 3), 3);
  EXPECT_EQ(fsync(fd), 0);
}

TEST_F(Names, HardLinksShareOneInodeAndItsCount) {
  WriteFile("a", "1");
  ASSERT_EQ(link(Path("a").c_str(), Path("b").c_str()), 0);
  EXPECT_EQ(Stat("a").st_ino, Stat("b").st_ino);
  EXPECT_EQ(Stat("a").st_nlink, 2U);
  EXPECT_EQ(Stat("b").st_nlink, 2U);
  WriteFile("b", "22");
  EXPECT_EQ(ReadFile("a"), "22");
  ASSERT_EQ(unlink(Path("a").c_str()), 0);
  EXPECT_EQ(Stat("b").st_nlink, 1U);
  EXPECT_EQ(ErrnoOf(link(Path("b").c_str(), Path("b").c_str())), EEXIST);
  EXPECT_EQ(ErrnoOf(link(directory_.c_str(), Path("c").c_str())), EPERM);
}

TEST_F(Names, ALinkOrUnlinkOfOneNameChangesTheTimeOfTheOther) {
  OpenFile("a");
  const struct stat before = Stat("a");
  usleep(20000);
  ASSERT_EQ(link(Path("a").c_str(), Path("b").c_str()), 0);
  const struct stat linked = Stat("a");
  EXPECT_GT(std::tie(linked.st_ctim.tv_sec, linked.st_ctim.tv_nsec),
            std::tie(before.st_ctim.tv_sec, before.st_ctim.tv_nsec));
  usleep(20000);
  ASSERT_EQ(unlink(Path("b").c_str()), 0);
  const struct stat unlinked = Stat("a");
  EXPECT_GT(std::tie(unlinked.st_ctim.tv_sec, unlinked.st_ctim.tv_nsec),
            std::tie(linked.st_ctim.tv_sec, linked.st_ctim.tv_nsec));
}

TEST_F(Names, SymlinksKeepTheirTargetWhateverItsLength) {
  for (const size_t length : {size_t{1}, size_t{60}, size_t{128}, size_t{129}, size_t{4095}}) {
    const std::string target(length, 't');
    const std::string name = "link" + std::to_string(length);
    ASSERT_EQ(symlink(target.c_str(), Path(name).c_str()), 0) << length;
    std::string read(5000, '\0');
    const ssize_t n = readlink(Path(name).c_str(), read.data(), read.size());
    ASSERT_EQ(n, static_cast<ssize_t>(length));
    EXPECT_EQ(read.substr(0, length), target);
    EXPECT_EQ(Stat(name).st_size, static_cast<off_t>(length));
  }
  ASSERT_EQ(symlink("loop", Path("loop").c_str()), 0);
  EXPECT_EQ(ErrnoOf(open(Path("loop").c_str(), O_RDONLY)), ELOOP);
}

TEST_F(Names, DirectoriesCountTheirSubdirectoriesAndMustBeEmptyToGo) {
  const nlink_t before = Stat("").st_nlink;
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  EXPECT_EQ(Stat("").st_nlink, before + 1);
  EXPECT_EQ(Stat("d").st_nlink, 2U);
  OpenFile("d/f");
  EXPECT_EQ(ErrnoOf(rmdir(Path("d").c_str())), ENOTEMPTY);
  EXPECT_EQ(ErrnoOf(unlink(Path("d").c_str())), EISDIR);
  EXPECT_EQ(ErrnoOf(rmdir(Path("d/f").c_str())), ENOTDIR);
  ASSERT_EQ(unlink(Path("d/f").c_str()), 0);
  EXPECT_EQ(rmdir(Path("d").c_str()), 0);
  EXPECT_EQ(Stat("").st_nlink, before);
}

TEST_F(Names, FifosSocketsAndDevicesKeepTheirKind) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0640), 0);
  EXPECT_TRUE(S_ISFIFO(Stat("fifo").st_mode));
  ASSERT_EQ(mknod(Path("sock").c_str(), S_IFSOCK | 0600, 0), 0);
  EXPECT_TRUE(S_ISSOCK(Stat("sock").st_mode));
  ASSERT_EQ(mknod(Path("chr").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  EXPECT_TRUE(S_ISCHR(Stat("chr").st_mode));
  EXPECT_EQ(Stat("chr").st_rdev, makedev(1, 3));
  ASSERT_EQ(mknod(Path("blk").c_str(), S_IFBLK | 0600, makedev(259, 65537)), 0);
  EXPECT_EQ(Stat("blk").st_rdev, makedev(259, 65537));
  ASSERT_EQ(mknod(Path("reg").c_str(), S_IFREG | 0600, 0), 0);
  WriteFile("reg", "x");
  EXPECT_EQ(ReadFile("reg"), "x");
}

TEST_F(Names, DevicesOnAMountWithoutDevCannotBeOpened) {
  ASSERT_EQ(mknod(Path("null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  EXPECT_EQ(ErrnoOf(open(Path("null").c_str(), O_RDONLY)), EACCES);
}

TEST_F(Names, RenameReplacesTheTargetAtOnce) {
  WriteFile("a", "new");
  WriteFile("b", "old");
  const ino_t ino = Stat("a").st_ino;
  ASSERT_EQ(rename(Path("a").c_str(), Path("b").c_str()), 0);
  EXPECT_EQ(ReadFile("b"), "new");
  EXPECT_EQ(Stat("b").st_ino, ino);
  struct stat values {};
  EXPECT_EQ(ErrnoOf(lstat(Path("a").c_str(), &values)), ENOENT);
}

TEST_F(Names, RenameOfTwoNamesOfOneFileDoesNothing) {
  OpenFile("a");
  ASSERT_EQ(link(Path("a").c_str(), Path("b").c_str()), 0);
  EXPECT_EQ(rename(Path("a").c_str(), Path("b").c_str()), 0);
  EXPECT_EQ(Stat("a").st_nlink, 2U);
}

TEST_F(Names, RenameWithNoReplaceKeepsTheTarget) {
  WriteFile("a", "1");
  WriteFile("b", "2");
  EXPECT_EQ(ErrnoOf(Rename2(Path("a"), Path("b"), RENAME_NOREPLACE)), EEXIST);
  EXPECT_EQ(Rename2(Path("a"), Path("c"), RENAME_NOREPLACE), 0);
  EXPECT_EQ(ReadFile("b") + ReadFile("c"), "21");
}

TEST_F(Names, RenameExchangeSwapsAFileAndADirectory) {
  WriteFile("f", "file");
  ASSERT_EQ(mkdir(Path("p").c_str(), 0755), 0);
  ASSERT_EQ(mkdir(Path("p/d").c_str(), 0755), 0);
  WriteFile("p/d/inside", "x");
  const nlink_t top = Stat("").st_nlink;
  ASSERT_EQ(Rename2(Path("f"), Path("p/d"), RENAME_EXCHANGE), 0);
  EXPECT_TRUE(S_ISDIR(Stat("f").st_mode));
  EXPECT_EQ(ReadFile("p/d"), "file");
  EXPECT_EQ(ReadFile("f/inside"), "x");
  EXPECT_EQ(Stat("").st_nlink, top + 1);
  EXPECT_EQ(Stat("p").st_nlink, 2U);
  EXPECT_EQ(ErrnoOf(Rename2(Path("f"), Path("nowhere"), RENAME_EXCHANGE)), ENOENT);
}

TEST_F(Names, ADirectoryMovedBetweenParentsTakesItsDotDotAlong) {
  for (const char* name : {"p", "q", "p/d"}) ASSERT_EQ(mkdir(Path(name).c_str(), 0755), 0);
  ASSERT_EQ(rename(Path("p/d").c_str(), Path("q/e").c_str()), 0);
  EXPECT_EQ(Stat("p").st_nlink, 2U);
  EXPECT_EQ(Stat("q").st_nlink, 3U);
  EXPECT_EQ(Stat("q/e/..").st_ino, Stat("q").st_ino);
}

TEST_F(Names, ADirectoryCannotMoveIntoItself) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  ASSERT_EQ(mkdir(Path("d/e").c_str(), 0755), 0);
  EXPECT_EQ(ErrnoOf(rename(Path("d").c_str(), Path("d/e/f").c_str())), EINVAL);
}

TEST_F(Names, RenameRefusesTargetsOfTheWrongKind) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  ASSERT_EQ(mkdir(Path("full").c_str(), 0755), 0);
  OpenFile("full/f");
  OpenFile("f");
  EXPECT_EQ(ErrnoOf(rename(Path("f").c_str(), Path("d").c_str())), EISDIR);
  EXPECT_EQ(ErrnoOf(rename(Path("d").c_str(), Path("f").c_str())), ENOTDIR);
  EXPECT_EQ(ErrnoOf(rename(Path("d").c_str(), Path("full").c_str())), ENOTEMPTY);
  EXPECT_EQ(rename(Path("full").c_str(), Path("d").c_str()), 0);
}

TEST_F(Names, ReaddirShowsEachNameOnceWithItsKindAndNumber) {
  std::map<std::string, unsigned char> expected{{".", DT_DIR}, {"..", DT_DIR}};
  ASSERT_EQ(mkdir(Path("sub").c_str(), 0755), 0);
  ASSERT_EQ(symlink("x", Path("lnk").c_str()), 0);
  expected["sub"] = DT_DIR;
  expected["lnk"] = DT_LNK;
  for (int i = 0; i < 1000; ++i) {
    OpenFile("file" + std::to_string(i));
    expected["file" + std::to_string(i)] = DT_REG;
  }
  for (int round = 0; round < 2; ++round) {  // the second may come from the kernel's cache
    std::map<std::string, unsigned char> seen;
    DIR* dir = opendir(directory_.c_str());
    ASSERT_NE(dir, nullptr);
    while (const dirent* entry = readdir(dir)) {
      EXPECT_TRUE(seen.emplace(entry->d_name, entry->d_type).second) << entry->d_name;
      if (entry->d_name[0] != '.') {
        EXPECT_EQ(entry->d_ino, Stat(entry->d_name).st_ino);
      }
    }
    closedir(dir);
    EXPECT_EQ(seen, expected);
  }
}

TEST_F(Names, TelldirPositionsSurviveInsertsAndDeletes) {
  for (int i = 0; i < 2000; ++i) OpenFile("f" + std::to_string(i));
  DIR* dir = opendir(directory_.c_str());
  ASSERT_NE(dir, nullptr);
  std::set<std::string> seen;
  for (int i = 0; i < 700; ++i) seen.insert(readdir(dir)->d_name);
  const long position = telldir(dir);
  for (int i = 0; i < 1000; ++i) OpenFile("g" + std::to_string(i));
  std::set<std::string> deleted;
  for (int i = 0; i < 2000; i += 3) {
    unlink(Path("f" + std::to_string(i)).c_str());
    deleted.insert("f" + std::to_string(i));
  }
  seekdir(dir, position);
  while (const dirent* entry = readdir(dir))
    EXPECT_TRUE(seen.insert(entry->d_name).second) << entry->d_name << " came twice";
  closedir(dir);
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "f" + std::to_string(i);
    EXPECT_TRUE(deleted.contains(name) || seen.contains(name)) << name << " was never shown";
  }
}

TEST_F(Names, RewinddirShowsWhatHasChanged) {
  OpenFile("a");
  DIR* dir = opendir(directory_.c_str());
  ASSERT_NE(dir, nullptr);
  while (readdir(dir) != nullptr) {
  }
  OpenFile("b");
  unlink(Path("a").c_str());
  rewinddir(dir);
  std::set<std::string> names;
  while (const dirent* entry = readdir(dir)) names.insert(entry->d_name);
  closedir(dir);
  EXPECT_EQ(names, (std::set<std::string>{".", "..", "b"}));
}

TEST_F(Names, ADirectoryCanBeSyncedAndSoCanARemovedOne) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  const Fd fd = OpenFile("d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(fsync(fd), 0);
  ASSERT_EQ(rmdir(Path("d").c_str()), 0);
  EXPECT_EQ(fsync(fd), 0);
}

TEST_F(Names, ATemporaryFileHasNoNameUntilItIsLinked) {
  const Fd fd(open(directory_.c_str(), O_TMPFILE | O_RDWR, 0600));
  if (fd < 0 && errno == EOPNOTSUPP) GTEST_SKIP() << "this libfuse has no O_TMPFILE";
  ASSERT_GE(fd, 0) << strerror(errno);
  ASSERT_EQ(write(fd, "tmp", 3), 3);
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  ASSERT_EQ(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, Path("named").c_str(), AT_SYMLINK_FOLLOW), 0);
  EXPECT_EQ(ReadFile("named"), "tmp");
}

TEST_F(Names, DeepPathsWork) {
  std::string path = directory_;
  for (int i = 0; i < 200; ++i) {
    path += "/d";
    ASSERT_EQ(mkdir(path.c_str(), 0755), 0) << i;
  }
  EXPECT_EQ(std::filesystem::remove_all(Path("d")), 200U);
}

}  // namespace
}  // namespace mirdax::test
