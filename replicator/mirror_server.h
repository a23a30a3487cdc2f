// SPDX-License-Identifier: BSD-2-Clause
// The mirror daemon without its main(): listens, serves control connections, applies in the
// background.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "fs/base/mutex.h"
#include "replicator/mirror_copy.h"
#include "replicator/socket_channel.h"

namespace mirdax {

class Key;

struct MirrorServerOptions {
  HostPort listen;
  std::shared_ptr<const Key> key;  // null: no authentication
  std::string pm = "direct";       // for status
  std::chrono::milliseconds auth_timeout{5000};
  // A primary that is alive sends a heartbeat every second or so, while it waits for the fill of
  // another mirror too. One that has stopped for this long is treated as gone.
  std::chrono::milliseconds silence{60000};
  size_t max_strangers = 16;  // connections that have not authenticated yet
  size_t max_connections = 64;
};

// Errors:  without memory (or threads) a connection is dropped, and the journal applied later; the
//          daemon lives on.
// Threads: Start(), Stop() and the destructor by one thread. Inside: one thread that accepts, one
// that applies, one for each control connection (their number is bounded).
class MirrorServer {
 public:
  // Errors: as SocketListener::Listen.
  static Result<std::unique_ptr<MirrorServer>> Start(MirrorCopy& copy, MirrorServerOptions options,
                                                     Clock& clock, Random& random);
  MirrorServer(const MirrorServer&) = delete;
  MirrorServer& operator=(const MirrorServer&) = delete;
  ~MirrorServer();

  const HostPort& address() const { return listener_->address(); }  // with the real port
  // Cuts every connection, applies what is committed, persists it. Idempotent.
  Status Stop();

 private:
  struct Connection {
    std::unique_ptr<SocketChannel> channel;
    std::atomic<bool> authenticated = false;
    std::atomic<bool> finished = false;
    std::thread thread;
  };

  MirrorServer(MirrorCopy& copy, MirrorServerOptions options,
               std::unique_ptr<SocketListener> listener, Clock& clock, Random& random)
      : copy_(copy),
        options_(std::move(options)),
        clock_(clock),
        random_(random),
        listener_(std::move(listener)) {}
  void AcceptLoop();
  void ApplyLoop();
  Status Apply();  // of the copy; kNoMemory: not now
  void Admit(int fd, const std::string& peer) MIRDAX_EXCLUDES(mutex_);
  void Serve(Connection& connection, SessionId id, const std::string& peer);
  void ServeSession(Connection& connection, SessionId id, const std::string& peer);

  MirrorCopy& copy_;
  const MirrorServerOptions options_;
  Clock& clock_;
  Random& random_;
  const std::unique_ptr<SocketListener> listener_;
  std::atomic<bool> stopping_ = false;
  std::thread accept_thread_;
  std::thread apply_thread_;

  Mutex mutex_;
  std::list<Connection> connections_ MIRDAX_GUARDED_BY(mutex_);
  SessionId next_session_ MIRDAX_GUARDED_BY(mutex_) = 1;
};

}  // namespace mirdax
