// SPDX-License-Identifier: BSD-2-Clause
// Goes to the background in a way that the caller can trust: mount(8) returns when the mount
// answers, or with the reason why there is none.
#pragma once

#include <memory>

#include "fs/base/result.h"

namespace mirdax {

// Exit codes of mount(8).
inline constexpr int kMountOk = 0;
inline constexpr int kMountUsage = 1;
inline constexpr int kMountSystem = 2;
inline constexpr int kMountFailure = 32;

// The daemon's end of the pipe on which the waiting parent learns the outcome.
//
// Threads: Ready() by any, once; the rest by the main thread.
class Daemon {
 public:
  // Forks. Returns in the child only, with its own session and "/" as directory; the parent waits,
  // and exits with the code that the child reports or ends with. With `foreground`, returns at
  // once in this process. Must run before any thread starts. Errors: kIo (no process, no pipe).
  static Result<std::unique_ptr<Daemon>> Start(bool foreground);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // The mount answers: lets the parent exit with 0 and lets go of the terminal.
  void Ready();

 private:
  explicit Daemon(int pipe_fd) : pipe_fd_(pipe_fd) {}
  int pipe_fd_;  // -1 in the foreground, and once told
};

}  // namespace mirdax
