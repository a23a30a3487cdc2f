// SPDX-License-Identifier: BSD-2-Clause
// One control connection, from the mirror's side: a state machine without I/O.
#pragma once

#include <memory>
#include <string>

#include "replicator/handshake.h"
#include "replicator/mirror_copy.h"

namespace mirdax {

// Turns each frame of a client into the frame that answers it.
//
// Invariant (21): before done with the handshake, nothing but the handshake is answered.
// Threads: one at a time.
class ControlSession {
 public:
  ControlSession(MirrorCopy& copy, SessionId id, std::string peer, std::shared_ptr<const Key> key,
                 Random& random, std::string pm)
      : copy_(copy),
        id_(id),
        peer_(std::move(peer)),
        pm_(std::move(pm)),
        handshake_(std::move(key), random) {}
  ControlSession(const ControlSession&) = delete;
  ControlSession& operator=(const ControlSession&) = delete;
  ~ControlSession() { copy_.EndSession(id_); }

  // The answer; `hang_up` when the connection ends after it (also for want of memory).
  Frame Handle(const Frame& frame, bool& hang_up);

  bool authenticated() const { return handshake_.done(); }
  size_t frame_limit() const { return authenticated() ? kMaxFrame : kMaxFrameBeforeAuth; }
  bool replicates() const { return authenticated() && handshake_.purpose() == Purpose::kReplicate; }

 private:
  Frame TryHandle(const Frame& frame, bool& hang_up);
  Result<std::vector<std::byte>> Answer(const Frame& frame);

  MirrorCopy& copy_;
  const SessionId id_;
  const std::string peer_;
  const std::string pm_;
  ServerHandshake handshake_;
};

}  // namespace mirdax
