// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/status_socket.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>

#include "fs/base/memory_reserve.h"

namespace mirdax {
namespace {

constexpr int kBacklog = 16;

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Fail(ErrorCode::kNameTooLong, "{}: too long for a socket", path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Binds and listens, with the mode set before anybody can connect.
Status BindPrivate(int fd, const std::string& path) {
  MIRDAX_ASSIGN(const sockaddr_un address, AddressOf(path));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Fail(FromErrno(errno, path));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), 0600) != 0 || listen(fd, kBacklog) != 0)
    return Fail(FromErrno(errno, path));
  return {};
}

std::optional<std::pair<dev_t, ino_t>> FileAt(const std::string& path) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) return std::nullopt;
  return std::pair(file.st_dev, file.st_ino);
}

}  // namespace

std::string StatusSocketPath(const DeviceNumber& device, const std::string& directory) {
  return fmt::format("{}/{}-{}.sock", directory, device.major, device.minor);
}

Result<std::unique_ptr<StatusSocket>> StatusSocket::Open(const std::string& path, Render render) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return Fail(FromErrno(errno, directory));
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Fail(FromErrno(errno, "making a socket"));
  if (const Status bound = BindPrivate(fd, path); !bound) {
    close(fd);
    return Fail(bound.error());
  }
  const int stop_fd = eventfd(0, EFD_CLOEXEC);
  if (stop_fd < 0) {
    const Error error = FromErrno(errno, "making an event");
    close(fd);
    unlink(path.c_str());
    return Fail(error);
  }
  return std::unique_ptr<StatusSocket>(new StatusSocket(path, std::move(render), fd, stop_fd));
}

StatusSocket::StatusSocket(std::string path, Render render, int listen_fd, int stop_fd)
    : path_(std::move(path)),
      file_(FileAt(path_)),
      render_(std::move(render)),
      listen_fd_(listen_fd),
      stop_fd_(stop_fd),
      thread_([this] { Run(); }) {}

StatusSocket::~StatusSocket() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  // The path may be another mount's by now: the kernel gives the device number out again at once.
  if (FileAt(path_) == file_) unlink(path_.c_str());
  close(listen_fd_);
  close(stop_fd_);
}

void StatusSocket::Run() {
  while (true) {
    std::array<pollfd, 2> fds{pollfd{.fd = listen_fd_, .events = POLLIN, .revents = 0},
                              pollfd{.fd = stop_fd_, .events = POLLIN, .revents = 0}};
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    if (fds[0].revents != 0) AnswerOne();
  }
}

void StatusSocket::AnswerOne() {
  const int client = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const timeval limit{.tv_sec = 1, .tv_usec = 0};
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  std::string document;
  try {
    // The JSON library allocates where it destroys, too: out of memory there is the daemon's end.
    if (const auto reserve = MemoryReserve::Open()) document = render_();
  } catch (const std::bad_alloc&) {  // whoever asked gets nothing
  }
  size_t sent = 0;
  while (sent < document.size()) {
    const ssize_t n = send(client, document.data() + sent, document.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // gone, or not reading for a second
    sent += static_cast<size_t>(n);
  }
  close(client);
}

}  // namespace mirdax
