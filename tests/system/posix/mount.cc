// SPDX-License-Identifier: BSD-2-Clause
#include "tests/system/posix/mount.h"

#include <grp.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace mirdax::test {

PosixTest::PosixTest() {
  const char* mount = getenv("MIRDAX_MOUNT");
  if (mount == nullptr) {
    fprintf(stderr, "set MIRDAX_MOUNT to the directory under test\n");
    exit(2);
  }
  umask(022);
  directory_ = std::string(mount) + "/test.XXXXXX";
  if (mkdtemp(directory_.data()) == nullptr || chmod(directory_.c_str(), 0755) != 0) {
    perror(directory_.c_str());
    exit(2);
  }
}

PosixTest::~PosixTest() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool PosixTest::Writeback() {
  const char* options = getenv("MIRDAX_OPTIONS");
  return options != nullptr && strcmp(options, "writeback") == 0;
}

Fd PosixTest::OpenFile(const std::string& name, int flags, mode_t mode) const {
  Fd fd(open(Path(name).c_str(), flags | O_CLOEXEC, mode));
  EXPECT_GE(fd, 0) << name << ": " << strerror(errno);
  return fd;
}

void PosixTest::WriteFile(const std::string& name, std::string_view bytes) const {
  const Fd fd = OpenFile(name, O_WRONLY | O_CREAT | O_TRUNC);
  ASSERT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()))
      << strerror(errno);
}

std::string PosixTest::ReadFile(const std::string& name) const {
  const Fd fd = OpenFile(name, O_RDONLY);
  std::string all;
  std::string buffer(1 << 16, '\0');
  ssize_t n = 0;
  while ((n = read(fd, buffer.data(), buffer.size())) > 0)
    all.append(buffer, 0, static_cast<size_t>(n));
  EXPECT_EQ(n, 0) << strerror(errno);
  return all;
}

struct stat PosixTest::Stat(const std::string& name) const {
  struct stat values {};
  EXPECT_EQ(lstat(Path(name).c_str(), &values), 0) << name << ": " << strerror(errno);
  return values;
}

int RunAsUser(uid_t id, int (*body)(void*), void* context) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(id) != 0 || setuid(id) != 0) _exit(101);
    _exit(body(context));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace mirdax::test
