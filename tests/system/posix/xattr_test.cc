// SPDX-License-Identifier: BSD-2-Clause
// Extended attributes and POSIX ACLs.
#include <sys/xattr.h>

#include <cstdlib>
#include <set>
#include <vector>

#include "tests/system/posix/mount.h"

namespace mirdax::test {
namespace {

using Xattrs = PosixTest;

constexpr uid_t kUser = 12345;

std::set<std::string> List(const std::string& path) {
  std::vector<char> buffer(65536);
  const ssize_t n = llistxattr(path.c_str(), buffer.data(), buffer.size());
  std::set<std::string> names;
  for (ssize_t i = 0; i < n; i += static_cast<ssize_t>(strlen(buffer.data() + i)) + 1)
    names.insert(buffer.data() + i);
  return names;
}

int Shell(const std::string& command) { return std::system(command.c_str()); }

TEST_F(Xattrs, AreKeptInEveryNamespaceThatRootMayUse) {
  OpenFile("f");
  for (const char* name : {"user.a", "trusted.b", "security.c"}) {
    ASSERT_EQ(setxattr(Path("f").c_str(), name, "value", 5, 0), 0) << name << strerror(errno);
    char value[16] = {};
    EXPECT_EQ(getxattr(Path("f").c_str(), name, value, sizeof(value)), 5);
    EXPECT_STREQ(value, "value");
  }
  EXPECT_EQ(List(Path("f")), (std::set<std::string>{"user.a", "trusted.b", "security.c"}));
  EXPECT_EQ(ErrnoOf(setxattr(Path("f").c_str(), "nonsense.x", "v", 1, 0)), EOPNOTSUPP);
}

TEST_F(Xattrs, CreateAndReplaceInsistOnWhatTheySay) {
  OpenFile("f");
  EXPECT_EQ(ErrnoOf(setxattr(Path("f").c_str(), "user.a", "1", 1, XATTR_REPLACE)), ENODATA);
  EXPECT_EQ(setxattr(Path("f").c_str(), "user.a", "1", 1, XATTR_CREATE), 0);
  EXPECT_EQ(ErrnoOf(setxattr(Path("f").c_str(), "user.a", "2", 1, XATTR_CREATE)), EEXIST);
  EXPECT_EQ(setxattr(Path("f").c_str(), "user.a", "22", 2, XATTR_REPLACE), 0);
  EXPECT_EQ(getxattr(Path("f").c_str(), "user.a", nullptr, 0), 2);
  char byte = 0;
  EXPECT_EQ(ErrnoOf(getxattr(Path("f").c_str(), "user.a", &byte, 1)), ERANGE);
  EXPECT_EQ(removexattr(Path("f").c_str(), "user.a"), 0);
  EXPECT_EQ(ErrnoOf(removexattr(Path("f").c_str(), "user.a")), ENODATA);
  EXPECT_EQ(ErrnoOf(getxattr(Path("f").c_str(), "user.a", nullptr, 0)), ENODATA);
}

TEST_F(Xattrs, TrustedNamesAreHiddenFromUsers) {
  OpenFile("f");
  ASSERT_EQ(setxattr(Path("f").c_str(), "user.a", "1", 1, 0), 0);
  ASSERT_EQ(setxattr(Path("f").c_str(), "trusted.b", "1", 1, 0), 0);
  EXPECT_EQ(
      AsUser(kUser, [&] { return List(Path("f")) == std::set<std::string>{"user.a"} ? 0 : 1; }), 0);
}

TEST_F(Xattrs, EmptyAndLargeValuesAreKeptAndTooLargeOnesRefused) {
  OpenFile("f");
  EXPECT_EQ(setxattr(Path("f").c_str(), "user.empty", "", 0, 0), 0);
  EXPECT_EQ(getxattr(Path("f").c_str(), "user.empty", nullptr, 0), 0);
  const std::string large(3000, 'v');
  EXPECT_EQ(setxattr(Path("f").c_str(), "user.large", large.data(), large.size(), 0), 0);
  EXPECT_EQ(getxattr(Path("f").c_str(), "user.large", nullptr, 0), 3000);
  const std::string huge(60000, 'v');
  EXPECT_EQ(ErrnoOf(setxattr(Path("f").c_str(), "user.huge", huge.data(), huge.size(), 0)), ENOSPC);
}

TEST_F(Xattrs, DirectoriesAndSymlinksHaveThemToo) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  ASSERT_EQ(symlink("x", Path("l").c_str()), 0);
  EXPECT_EQ(setxattr(Path("d").c_str(), "user.a", "1", 1, 0), 0);
  EXPECT_EQ(lsetxattr(Path("l").c_str(), "trusted.a", "1", 1, 0), 0);
  EXPECT_EQ(ErrnoOf(lsetxattr(Path("l").c_str(), "user.a", "1", 1, 0)), EPERM);
  EXPECT_EQ(List(Path("l")), std::set<std::string>{"trusted.a"});
}

TEST_F(Xattrs, AnAccessAclLetsItsUserIn) {
  WriteFile("f", "x");
  ASSERT_EQ(chmod(Path("f").c_str(), 0600), 0);
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(open(Path("f").c_str(), O_RDONLY)); }), EACCES);
  ASSERT_EQ(Shell("setfacl -m u:12345:r " + Path("f")), 0);
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(open(Path("f").c_str(), O_RDONLY)); }), 0);
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(open(Path("f").c_str(), O_WRONLY)); }), EACCES);
  // The group bits show the mask, as on other filesystems.
  EXPECT_EQ(Stat("f").st_mode & 0777, 0640U);
}

TEST_F(Xattrs, ChmodChangesTheMaskOfAnAcl) {
  OpenFile("f");
  ASSERT_EQ(Shell("setfacl -m u:12345:rw " + Path("f")), 0);
  ASSERT_EQ(chmod(Path("f").c_str(), 0600), 0);
  EXPECT_EQ(AsUser(kUser, [&] { return ErrnoOf(open(Path("f").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_EQ(Shell("getfacl -cp " + Path("f") + " | grep -q '^mask::---'"), 0);
}

TEST_F(Xattrs, RemovingAnAclLeavesTheModeInCharge) {
  OpenFile("f");
  ASSERT_EQ(Shell("setfacl -m u:12345:rw " + Path("f")), 0);
  ASSERT_EQ(Shell("setfacl -b " + Path("f")), 0);
  EXPECT_EQ(List(Path("f")), std::set<std::string>{});
  EXPECT_EQ(Stat("f").st_mode & 0777, 0644U);
}

TEST_F(Xattrs, ADefaultAclIsInheritedInPlaceOfTheUmask) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  ASSERT_EQ(Shell("setfacl -d -m u::rwx,g::rwx,o::-,u:12345:rwx " + Path("d")), 0);
  umask(077);
  OpenFile("d/f", O_CREAT | O_WRONLY, 0666);
  EXPECT_EQ(Stat("d/f").st_mode & 0777, 0660U);
  ASSERT_EQ(mkdir(Path("d/sub").c_str(), 0777), 0);
  EXPECT_EQ(Stat("d/sub").st_mode & 0777, 0770U);
  EXPECT_EQ(Shell("getfacl -cp " + Path("d/sub") + " | grep -q '^default:user:12345:rwx'"), 0);
  EXPECT_EQ(Shell("getfacl -cp " + Path("d/f") + " | grep -q '^user:12345:rwx'"), 0);
}

}  // namespace
}  // namespace mirdax::test
