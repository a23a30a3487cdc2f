// SPDX-License-Identifier: BSD-2-Clause
// The transport seam, seen from the primary. Implementations: fabric (libfabric), sim (tests); room
// for verbs, whose native flush would be one more method of DataLink.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "replicator/control_wire.h"
#include "replicator/deadline.h"
#include "replicator/frame_channel.h"

namespace mirdax {

// One data connection to one mirror.
//
// Order: a message arrives after every Write() posted before it has been placed in the mirror's
// memory. Writes may pass each other. Placed is not durable: that is what the message asks for.
//
// Errors:  kPeerLost, kTimedOut; after one the link is of no more use.
// Threads: one at a time.
class DataLink {
 public:
  virtual ~DataLink() = default;

  // What the mirror has opened for us, told over the control connection.
  virtual void SetWindows(std::vector<RemoteWindow> windows) = 0;
  // Posts a one-sided write of `bytes` to `offset` of the mirror's pool. It lies in one window.
  // REQUIRES: the bytes stay valid (they may change: what was changed is pushed again) until a
  // message sent later was answered, or the link is destroyed.
  virtual Status Write(uint64_t offset, std::span<const std::byte> bytes, Deadline deadline) = 0;
  // Sends a message; the bytes are copied.
  virtual Status Send(std::span<const std::byte> message, Deadline deadline) = 0;
  // Makes progress; true when a message came, which is then in `message`.
  virtual Result<bool> Poll(std::vector<std::byte>& message) = 0;
  // Operations finished so far: while this grows, the mirror is slow, not stuck.
  virtual uint64_t completed() const noexcept = 0;
  // Ranges up to this many bytes are cheaper inside a message than as a write of their own.
  virtual size_t inline_limit() const noexcept = 0;
};

// Threads: one at a time, except that control channels are used by whoever holds them.
class MirrorDialer {
 public:
  virtual ~MirrorDialer() = default;
  virtual Result<std::unique_ptr<FrameChannel>> DialControl(const std::string& address,
                                                            Deadline deadline) = 0;
  // `memory`: the primary's pool, where Write() will read.
  virtual Result<std::unique_ptr<DataLink>> DialData(const DataEndpoint& endpoint,
                                                     std::span<std::byte> memory,
                                                     Deadline deadline) = 0;
  // False in a simulation that runs in one thread: then PrimaryReplication starts none, and its
  // owner calls Beat().
  virtual bool has_threads() const noexcept { return true; }
  // Blocks until Poll() of one of the links may have something, or the
  // deadline.
  virtual void WaitAny(std::span<DataLink* const> links, Deadline deadline) = 0;
};

}  // namespace mirdax
