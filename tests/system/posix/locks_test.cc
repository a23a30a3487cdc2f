// SPDX-License-Identifier: BSD-2-Clause
// Locks, which the kernel keeps.
#include <sys/file.h>

#include "tests/system/posix/mount.h"

namespace mirdax::test {
namespace {

using Locks = PosixTest;

struct flock RangeLock(short type, off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

TEST_F(Locks, FlockExcludesOtherOpens) {
  const Fd a = OpenFile("f");
  Fd b = OpenFile("f");
  ASSERT_EQ(flock(a, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(ErrnoOf(flock(b, LOCK_SH | LOCK_NB)), EWOULDBLOCK);
  ASSERT_EQ(flock(a, LOCK_UN), 0);
  EXPECT_EQ(flock(b, LOCK_SH | LOCK_NB), 0);
  EXPECT_EQ(ErrnoOf(flock(a, LOCK_EX | LOCK_NB)), EWOULDBLOCK);
  b.Close();
  EXPECT_EQ(flock(a, LOCK_EX | LOCK_NB), 0);
}

TEST_F(Locks, PosixLocksExcludeOtherProcessesRangeByRange) {
  const Fd fd = OpenFile("f");
  struct flock mine = RangeLock(F_WRLCK, 10, 10);
  ASSERT_EQ(fcntl(fd, F_SETLK, &mine), 0);
  const auto try_lock = [&](off_t start) {
    return AsUser(0, [&] {
      const Fd other(open(Path("f").c_str(), O_RDWR));
      struct flock theirs = RangeLock(F_WRLCK, start, 5);
      return ErrnoOf(fcntl(other, F_SETLK, &theirs));
    });
  };
  EXPECT_EQ(try_lock(15), EAGAIN);
  EXPECT_EQ(try_lock(20), 0);
  struct flock unlock = RangeLock(F_UNLCK, 0, 0);
  ASSERT_EQ(fcntl(fd, F_SETLK, &unlock), 0);
  EXPECT_EQ(try_lock(15), 0);
}

TEST_F(Locks, PosixLocksGoWhenAnyDescriptorOfTheProcessIsClosed) {
  const Fd fd = OpenFile("f");
  struct flock mine = RangeLock(F_WRLCK, 0, 0);
  ASSERT_EQ(fcntl(fd, F_SETLK, &mine), 0);
  OpenFile("f").Close();
  EXPECT_EQ(AsUser(0,
                   [&] {
                     const Fd other(open(Path("f").c_str(), O_RDWR));
                     struct flock theirs = RangeLock(F_WRLCK, 0, 0);
                     return ErrnoOf(fcntl(other, F_SETLK, &theirs));
                   }),
            0);
}

TEST_F(Locks, OpenFileDescriptionLocksWorkWithinOneProcess) {
  const Fd a = OpenFile("f");
  const Fd b = OpenFile("f");
  struct flock lock = RangeLock(F_WRLCK, 0, 100);
  ASSERT_EQ(fcntl(a, F_OFD_SETLK, &lock), 0);
  EXPECT_EQ(ErrnoOf(fcntl(b, F_OFD_SETLK, &lock)), EAGAIN);
}

}  // namespace
}  // namespace mirdax::test
