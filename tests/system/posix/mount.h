// SPDX-License-Identifier: BSD-2-Clause
// What the POSIX tests share: a directory of their own on the filesystem under test, descriptors
// that close themselves, and results with their errno.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace mirdax::test {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() { Close(); }
  operator int() const { return fd_; }  // NOLINT: used where a descriptor is
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// A fresh directory below $MIRDAX_MOUNT for each test, with umask 022.
class PosixTest : public testing::Test {
 protected:
  PosixTest();
  ~PosixTest() override;

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  // Opens `name`; the test fails when it cannot.
  Fd OpenFile(const std::string& name, int flags = O_RDWR | O_CREAT, mode_t mode = 0644) const;
  void WriteFile(const std::string& name, std::string_view bytes) const;
  std::string ReadFile(const std::string& name) const;
  struct stat Stat(const std::string& name) const;  // lstat
  // Whether $MIRDAX_OPTIONS, the mount's options, say that the kernel collects writes.
  static bool Writeback();

  std::string directory_;
};

// Runs `body` in a child process as user and group `id`, without supplementary groups; returns
// what body returned (0..100).
template <typename Body>
int AsUser(uid_t id, Body&& body);

// The errno of a call that must fail: EXPECT_EQ(ErrnoOf(mkdir(...)), EEXIST). 0 when it did not.
template <typename T>
int ErrnoOf(T result) {
  return result == static_cast<T>(-1) ? errno : 0;
}

int RunAsUser(uid_t id, int (*body)(void*), void* context);

template <typename Body>
int AsUser(uid_t id, Body&& body) {
  return RunAsUser(
      id, [](void* context) { return static_cast<int>((*static_cast<Body*>(context))()); }, &body);
}

}  // namespace mirdax::test
