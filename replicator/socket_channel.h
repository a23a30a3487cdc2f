// SPDX-License-Identifier: BSD-2-Clause
// Control connections over TCP.
#pragma once

#include <memory>
#include <string>

#include "replicator/address.h"
#include "replicator/frame_channel.h"

namespace mirdax {

// Errors as FrameChannel; messages do not name the peer, the caller does.
class SocketChannel final : public FrameChannel {
 public:
  // kPeerLost (refused, unreachable), kTimedOut, kInvalid (no such host).
  static Result<std::unique_ptr<SocketChannel>> Connect(const HostPort& address, Clock& clock,
                                                        Deadline deadline);
  // Takes over a connected socket.
  SocketChannel(int fd, Clock& clock);
  SocketChannel(const SocketChannel&) = delete;
  SocketChannel& operator=(const SocketChannel&) = delete;
  ~SocketChannel() override;

  Status Send(const Frame& frame, Deadline deadline) override;
  Result<Frame> Receive(size_t limit, Deadline deadline) override;
  void Cut() noexcept override;

 private:
  Status AwaitReady(short events, Deadline deadline);
  Status ReadAll(std::span<std::byte> bytes, Deadline deadline);

  const int fd_;
  Clock& clock_;
};

// A listening socket.
class SocketListener {
 public:
  // Port 0: the kernel chooses. kInvalid (no such host), kAccess, kIo (in use, not this host's).
  static Result<std::unique_ptr<SocketListener>> Listen(const HostPort& address);
  SocketListener(const SocketListener&) = delete;
  SocketListener& operator=(const SocketListener&) = delete;
  ~SocketListener();

  const HostPort& address() const { return address_; }  // with the real port
  // A connected socket, or -1 after `timeout_ms` or when the peer has already gone.
  int Accept(int timeout_ms, std::string& peer);

 private:
  SocketListener(int fd, HostPort address) : fd_(fd), address_(std::move(address)) {}

  const int fd_;
  HostPort address_;
};

}  // namespace mirdax
