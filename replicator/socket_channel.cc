// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/socket_channel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace mirdax {
namespace {

void SetNoDelay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

Error LostError(int error_number) {
  Error error = FromErrno(error_number, "connection");
  error.code = ErrorCode::kPeerLost;
  return error;
}

}  // namespace

Result<std::unique_ptr<SocketChannel>> SocketChannel::Connect(const HostPort& address, Clock& clock,
                                                              Deadline deadline) {
  MIRDAX_ASSIGN(const SocketAddress target, Resolve(address));
  const int fd =
      socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (fd < 0) return Fail(FromErrno(errno, "socket"));
  auto channel = std::make_unique<SocketChannel>(fd, clock);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&target.storage), target.length) != 0) {
    if (errno != EINPROGRESS) return Fail(LostError(errno));
    MIRDAX_TRY(channel->AwaitReady(POLLOUT, deadline));
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Fail(LostError(error));
  }
  return channel;
}

SocketChannel::SocketChannel(int fd, Clock& clock) : fd_(fd), clock_(clock) { SetNoDelay(fd_); }

SocketChannel::~SocketChannel() { close(fd_); }

void SocketChannel::Cut() noexcept { shutdown(fd_, SHUT_RDWR); }

Status SocketChannel::AwaitReady(short events, Deadline deadline) {
  for (;;) {
    pollfd entry{fd_, events, 0};
    const int left = MillisecondsLeft(clock_, deadline);
    const int count = poll(&entry, 1, left);
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return Fail(LostError(errno));
    if (left == 0) return Fail(ErrorCode::kTimedOut, "no answer in time");
  }
}

Status SocketChannel::Send(const Frame& frame, Deadline deadline) {
  const std::vector<std::byte> bytes = EncodeFrame(frame);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (count >= 0) {
      done += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      MIRDAX_TRY(AwaitReady(POLLOUT, deadline));
    } else if (errno != EINTR) {
      return Fail(LostError(errno));
    }
  }
  return {};
}

Status SocketChannel::ReadAll(std::span<std::byte> bytes, Deadline deadline) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = recv(fd_, bytes.data() + done, bytes.size() - done, 0);
    if (count > 0) {
      done += static_cast<size_t>(count);
      // A peer that sends a byte now and then gets no more time than one that sends nothing.
      if (done < bytes.size() && MillisecondsLeft(clock_, deadline) == 0)
        return Fail(ErrorCode::kTimedOut, "no whole message in time");
    } else if (count == 0) {
      return Fail(ErrorCode::kPeerLost, "the peer closed the connection");
    } else if (errno == EAGAIN) {
      MIRDAX_TRY(AwaitReady(POLLIN, deadline));
    } else if (errno != EINTR) {
      return Fail(LostError(errno));
    }
  }
  return {};
}

Result<Frame> SocketChannel::Receive(size_t limit, Deadline deadline) {
  std::array<std::byte, sizeof(FrameHeader)> head{};
  MIRDAX_TRY(ReadAll(head, deadline));
  MIRDAX_ASSIGN(const FrameHeader header, DecodeFrameHeader(head, limit));
  std::vector<std::byte> payload(header.length);
  MIRDAX_TRY(ReadAll(payload, deadline));
  return DecodeFrame(header, std::move(payload));
}

Result<std::unique_ptr<SocketListener>> SocketListener::Listen(const HostPort& address) {
  MIRDAX_ASSIGN(const SocketAddress local, Resolve(address));
  const int fd =
      socket(local.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (fd < 0) return Fail(FromErrno(errno, "socket"));
  std::unique_ptr<SocketListener> listener(new SocketListener(fd, address));
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&local.storage), local.length) != 0 ||
      listen(fd, SOMAXCONN) != 0) {
    Error error = FromErrno(errno, address.ToString());
    error.message += "; choose another address with --listen";
    return Fail(std::move(error));
  }
  SocketAddress bound;
  bound.length = sizeof(bound.storage);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.length) != 0)
    return Fail(FromErrno(errno, "getsockname"));
  listener->address_ = ToHostPort(bound);
  return listener;
}

SocketListener::~SocketListener() { close(fd_); }

int SocketListener::Accept(int timeout_ms, std::string& peer) {
  pollfd entry{fd_, POLLIN, 0};
  if (poll(&entry, 1, timeout_ms) <= 0) return -1;
  SocketAddress address;
  address.length = sizeof(address.storage);
  const int fd = accept4(fd_, reinterpret_cast<sockaddr*>(&address.storage), &address.length,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) peer = ToHostPort(address).ToString();
  return fd;
}

}  // namespace mirdax
