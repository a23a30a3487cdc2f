// SPDX-License-Identifier: BSD-2-Clause
#include "tools/ctl/status.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "fs/fuse/status_socket.h"
#include "replicator/control_client.h"
#include "tools/ctl/target.h"

namespace mirdax::ctl {
namespace {

using Deadline = std::chrono::steady_clock::time_point;
constexpr size_t kMaxDocument = size_t{1} << 20;

class Socket {
 public:
  Socket() : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

// False at the deadline.
bool WaitFor(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{fd, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the call that follows tells
  }
}

// A full backlog of a stopped daemon answers EAGAIN: tried again until the deadline.
Status Connect(int fd, const sockaddr_un& address, const std::string& path, Deadline deadline) {
  for (;;) {
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return {};
    switch (errno) {
      case EINTR:
        continue;
      case EAGAIN:
        if (std::chrono::steady_clock::now() >= deadline) {
          return Fail(ErrorCode::kTimedOut, "{}: the mount's daemon does not answer", path);
        }
        poll(nullptr, 0, 20);
        continue;
      case ENOENT:
        return Fail(ErrorCode::kPeerLost,
                    "no status socket {}: this is no mirdax mount, or its daemon could not make "
                    "the socket (see its log)",
                    path);
      case ECONNREFUSED:
        return Fail(ErrorCode::kPeerLost,
                    "{}: the mount's daemon is gone; unmount, and mount again", path);
      default:
        return Fail(FromErrno(errno, path));
    }
  }
}

}  // namespace

Result<std::string> ReadStatusSocket(const std::string& path, std::chrono::milliseconds timeout) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalid, "{}: too long for a socket's path", path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const Socket socket;
  if (socket.fd() < 0) return Fail(FromErrno(errno, "socket"));
  MIRDAX_TRY(Connect(socket.fd(), address, path, deadline));
  std::string document;
  std::array<char, 4096> buffer{};
  for (;;) {
    if (!WaitFor(socket.fd(), POLLIN, deadline)) {
      return Fail(ErrorCode::kTimedOut, "{}: the mount's daemon does not answer", path);
    }
    const ssize_t got = read(socket.fd(), buffer.data(), buffer.size());
    if (got == 0) return document;
    if (got < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return Fail(FromErrno(errno, path));
    }
    document.append(buffer.data(), static_cast<size_t>(got));
    if (document.size() > kMaxDocument) {
      return Fail(ErrorCode::kIncompatible, "{}: says more than a status document holds", path);
    }
  }
}

Result<std::string> FetchStatus(const std::string& name, const StatusOptions& options) {
  MIRDAX_ASSIGN(const Target target, ParseTarget(name, ReadMountTable()));
  switch (target.kind) {
    case Target::Kind::kMount:
      return ReadStatusSocket(StatusSocketPath(target.device), options.timeout);
    case Target::Kind::kMirror: {
      ControlOptions control;
      control.address = target.name;
      if (!options.key_file.empty()) control.key_file = options.key_file;
      control.no_auth = options.no_auth;
      control.timeout = options.timeout;
      return FetchMirrorStatus(control);
    }
    case Target::Kind::kPool:
      return PoolStatus(target.name);
  }
  return Fail(ErrorCode::kInvalid);
}

}  // namespace mirdax::ctl
