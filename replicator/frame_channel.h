// SPDX-License-Identifier: BSD-2-Clause
// A control connection as both ends see it: whole frames, in order.
#pragma once

#include <span>
#include <vector>

#include "fs/base/result.h"
#include "replicator/control_wire.h"
#include "replicator/deadline.h"

namespace mirdax {

// Errors:  kPeerLost (closed or reset), kTimedOut, and what decoding says. After an error the
//          channel is of no more use.
// Threads: Send() and Receive() by one at a time; Cut() by any.
class FrameChannel {
 public:
  virtual ~FrameChannel() = default;
  virtual Status Send(const Frame& frame, Deadline deadline) = 0;
  // `limit`: payload bytes allowed.
  virtual Result<Frame> Receive(size_t limit, Deadline deadline) = 0;
  // Ends the connection; a Receive() that is waiting returns.
  virtual void Cut() noexcept = 0;
};

// Sends a request and returns the payload of its kReply; a kRefused becomes the error it carries.
Result<std::vector<std::byte>> Call(FrameChannel& channel, FrameType type,
                                    std::span<const std::byte> payload, Deadline deadline);

}  // namespace mirdax
