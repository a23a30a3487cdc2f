// SPDX-License-Identifier: BSD-2-Clause
// One FUSE mount: made, served until somebody unmounts it or a signal ends it, and taken down.
#pragma once

#include <pthread.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fs/base/result.h"
#include "fs/fuse/mount_table.h"
#include "fs/fuse/operations.h"

struct fuse_session;

namespace mirdax {

struct SessionOptions {
  std::string source;     // shown by mount(8)
  std::string directory;  // absolute, without links, a directory
  bool read_only = false;
  bool allow_other = false;
  unsigned max_threads = 10;
  std::vector<std::string> kernel_flags;
};

// SIGTERM, SIGINT and SIGHUP end the session: it tries umount(2) while it still serves, so that the
// kernel writes back what was stored through mappings; a mount in use is detached instead.
//
// Errors:  kInvalid, kAccess, kIo: what the kernel said, about which directory.
// Threads: BlockSignals() before the process starts any thread (they inherit the mask); Mount(),
//          Serve() and the destructor by the main thread.
class Session {
 public:
  static void BlockSignals();

  static Result<std::unique_ptr<Session>> Mount(Front& front, const SessionOptions& options);
  ~Session();  // unmounts if need be; safe when somebody else already has
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The mount's st_dev, as /proc/self/mountinfo has it.
  Result<DeviceNumber> device() const;

  // Answers requests until the mount has ended.
  Status Serve();

 private:
  Session(const SessionOptions& options, fuse_session* session)
      : options_(options), session_(session) {}

  void Watch();  // the supervisor thread: signals, and the kernel's read-ahead
  void RaiseReadAhead() const;
  void EndServing(int signal_number);

  const SessionOptions options_;
  fuse_session* const session_;
  bool mounted_ = false;
  std::thread supervisor_;
  pthread_t main_thread_{};
  std::atomic<bool> served_{false};  // the loop has ended
};

}  // namespace mirdax
