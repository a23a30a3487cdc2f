// SPDX-License-Identifier: BSD-2-Clause
// Questions to a mirror daemon over its control connection, for commands.
#pragma once

#include <chrono>
#include <string>

#include "fs/base/result.h"

namespace mirdax {

inline constexpr const char* kDefaultKeyPath = "/etc/mirdax/key";

struct ControlOptions {
  std::string address;                      // "host:port" or "[v6]:port"
  std::string key_file = kDefaultKeyPath;   // not read with no_auth
  bool no_auth = false;                     // the daemon must run with --no-auth too
  std::chrono::milliseconds timeout{3000};  // for the whole exchange (R10)
};

// The daemon's status document (JSON, {"kind":"mirror",...}).
// Errors: kInvalid (address, key file), kPeerLost (nobody there, or it hung up), kTimedOut,
//         kAuthFailed (another key), kIncompatible (no common protocol version). Messages name the
//         address and what to do.
Result<std::string> FetchMirrorStatus(const ControlOptions& options);

}  // namespace mirdax
