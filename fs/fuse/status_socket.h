// SPDX-License-Identifier: BSD-2-Clause
// The Unix socket on which a mount's daemon tells its status: connect, read to the end.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "fs/base/result.h"
#include "fs/fuse/mount_table.h"

namespace mirdax {

inline constexpr const char* kStatusDirectory = "/run/mirdax";

// "<directory>/<major>-<minor>.sock"
std::string StatusSocketPath(const DeviceNumber& device,
                             const std::string& directory = kStatusDirectory);

// Answers one client after another on a thread of its own. A client that does not read is given up
// after a second; nothing else of the daemon waits for one.
//
// Errors:  kAccess, kBusy, kIo: about which path.
// Threads: `render` runs on the socket's thread; it must not wait for a peer, a disk or the mount.
class StatusSocket {
 public:
  using Render = std::function<std::string()>;

  // Makes the directory (0755) and the socket (0600), in place of what an ended daemon left there.
  static Result<std::unique_ptr<StatusSocket>> Open(const std::string& path, Render render);
  ~StatusSocket();  // stops the thread and removes the socket, if it still is at its path
  StatusSocket(const StatusSocket&) = delete;
  StatusSocket& operator=(const StatusSocket&) = delete;

 private:
  StatusSocket(std::string path, Render render, int listen_fd, int stop_fd);
  void Run();
  void AnswerOne();

  const std::string path_;
  const std::optional<std::pair<dev_t, ino_t>> file_;  // what was bound there
  const Render render_;
  const int listen_fd_;
  const int stop_fd_;  // eventfd
  std::thread thread_;
};

}  // namespace mirdax
