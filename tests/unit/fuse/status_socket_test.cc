// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/status_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace mirdax {
namespace {

int Connect(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

std::string ReadAll(const std::string& path) {
  const int fd = Connect(path);
  std::string text;
  std::array<char, 4096> buffer{};
  ssize_t n = 0;
  while ((n = read(fd, buffer.data(), buffer.size())) > 0)
    text.append(buffer.data(), static_cast<size_t>(n));
  close(fd);
  return text;
}

class StatusSocketTest : public testing::Test {
 protected:
  test::TempDir directory_;
  const std::string path_ = StatusSocketPath(DeviceNumber{0, 45}, directory_.File("run"));
};

TEST_F(StatusSocketTest, IsNamedAfterTheMountsDevice) {
  EXPECT_EQ(StatusSocketPath(DeviceNumber{8, 17}), "/run/mirdax/8-17.sock");
}

TEST_F(StatusSocketTest, TellsEveryClientTheStatusOfThatMoment) {
  int calls = 0;
  const auto socket = StatusSocket::Open(path_, [&] { return std::to_string(++calls); });
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(ReadAll(path_), "1");
  EXPECT_EQ(ReadAll(path_), "2");
}

TEST_F(StatusSocketTest, IsForItsOwnerOnlyAndGoneAfterwards) {
  {
    const auto socket = StatusSocket::Open(path_, [] { return ""; });
    ASSERT_TRUE(socket) << socket.error().message;
    struct stat values {};
    ASSERT_EQ(stat(path_.c_str(), &values), 0);
    EXPECT_EQ(values.st_mode & 0777, 0600U);
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(StatusSocketTest, TakesThePlaceOfWhatAKilledDaemonLeft) {
  std::filesystem::create_directory(directory_.File("run"));
  std::ofstream(path_) << "stale";
  const auto socket = StatusSocket::Open(path_, [] { return "fresh"; });
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(ReadAll(path_), "fresh");
}

TEST_F(StatusSocketTest, OfALaterMountWithTheSameDeviceNumberOutlivesTheEarlierOne) {
  auto earlier = StatusSocket::Open(path_, [] { return "earlier"; });
  ASSERT_TRUE(earlier) << earlier.error().message;
  const auto later = StatusSocket::Open(path_, [] { return "later"; });
  ASSERT_TRUE(later) << later.error().message;
  earlier->reset();
  EXPECT_EQ(ReadAll(path_), "later");
}

TEST_F(StatusSocketTest, AClientThatDoesNotReadIsGivenUpAfterASecond) {
  const auto socket = StatusSocket::Open(path_, [] { return std::string(8 << 20, 'x'); });
  ASSERT_TRUE(socket) << socket.error().message;
  const int lazy = Connect(path_);
  ASSERT_GE(lazy, 0);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ReadAll(path_).size(), size_t{8} << 20);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  close(lazy);
}

TEST_F(StatusSocketTest, APathTooLongForASocketIsRefused) {
  const auto socket = StatusSocket::Open(directory_.File(std::string(120, 'x')), [] { return ""; });
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, ErrorCode::kNameTooLong);
}

}  // namespace
}  // namespace mirdax
