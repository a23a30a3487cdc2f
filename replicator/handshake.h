// SPDX-License-Identifier: BSD-2-Clause
// Who are you, and do you hold our key? The first messages of a control connection.
//
//   client                          server
//     Hello {versions, nonce} ------->
//     <------- Challenge {version, nonce}
//     Proof {HMAC(hello, challenge)} ->      the client proves first: a stranger learns nothing
//     <------------- Welcome {HMAC}
//
// Without a key (--no-auth on both ends) the proofs are all zero.
#pragma once

#include <memory>
#include <vector>

#include "fs/base/random.h"
#include "replicator/auth.h"
#include "replicator/frame_channel.h"

namespace mirdax {

// Brings a fresh channel to the point where requests may follow. `key` null: no authentication.
// Errors: kAuthFailed, kIncompatible (no common version; both are named), and the channel's.
Status ClientHandshake(FrameChannel& channel, const Key* key, Purpose purpose, Random& random,
                       Deadline deadline);

// The server's half: a state machine without I/O.
//
// Threads: one at a time.
class ServerHandshake {
 public:
  ServerHandshake(std::shared_ptr<const Key> key, Random& random)
      : key_(std::move(key)), random_(random) {}

  // The frame to answer with, or the reason to refuse (send RefusalFrame() and hang up).
  Result<Frame> Handle(const Frame& frame);

  bool done() const { return state_ == State::kDone; }
  Purpose purpose() const { return purpose_; }

 private:
  enum class State : uint8_t { kAwaitHello, kAwaitProof, kDone, kFailed };

  Result<Frame> HandleHello(const Frame& frame);
  Result<Frame> HandleProof(const Frame& frame);

  const std::shared_ptr<const Key> key_;  // null: no authentication
  Random& random_;
  State state_ = State::kAwaitHello;
  Purpose purpose_ = Purpose::kStatus;
  std::vector<std::byte> hello_;
  std::vector<std::byte> challenge_;
};

}  // namespace mirdax
