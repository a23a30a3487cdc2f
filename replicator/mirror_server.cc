// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/mirror_server.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <new>

#include "fs/base/memory_reserve.h"
#include "replicator/control_session.h"

namespace mirdax {
namespace {

constexpr int kAcceptPollMs = 100;
constexpr auto kApplyInterval = std::chrono::milliseconds(200);
constexpr auto kSendTimeout = std::chrono::seconds(5);

}  // namespace

Result<std::unique_ptr<MirrorServer>> MirrorServer::Start(MirrorCopy& copy,
                                                          MirrorServerOptions options, Clock& clock,
                                                          Random& random) {
  MemoryReserve::Install();
  MIRDAX_ASSIGN(auto listener, SocketListener::Listen(options.listen));
  std::unique_ptr<MirrorServer> server(
      new MirrorServer(copy, std::move(options), std::move(listener), clock, random));
  server->accept_thread_ = std::thread([self = server.get()] { self->AcceptLoop(); });
  server->apply_thread_ = std::thread([self = server.get()] { self->ApplyLoop(); });
  return server;
}

MirrorServer::~MirrorServer() { (void)Stop(); }

Status MirrorServer::Stop() {
  if (!stopping_.exchange(true)) {
    copy_.Interrupt();
    accept_thread_.join();
    apply_thread_.join();
    std::list<Connection> connections;
    {
      const MutexLock lock(mutex_);
      connections.swap(connections_);
    }
    for (Connection& connection : connections) connection.channel->Cut();
    for (Connection& connection : connections) connection.thread.join();
  }
  return Apply();
}

Status MirrorServer::Apply() {
  try {
    return copy_.Apply();
  } catch (const std::bad_alloc&) {
    return Fail(ErrorCode::kNoMemory);
  }
}

void MirrorServer::AcceptLoop() {
  while (!stopping_) {
    int fd = -1;
    std::string peer;
    try {
      fd = listener_->Accept(kAcceptPollMs, peer);
    } catch (const std::bad_alloc&) {  // whoever it was is gone, and may come again
    }
    {
      const MutexLock lock(mutex_);
      connections_.remove_if([](Connection& connection) {
        if (!connection.finished) return false;
        connection.thread.join();
        return true;
      });
    }
    if (fd >= 0) Admit(fd, peer);
  }
}

void MirrorServer::Admit(int fd, const std::string& peer) {
  const MutexLock lock(mutex_);
  const auto strangers = static_cast<size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const Connection& connection) { return !connection.authenticated; }));
  if (strangers >= options_.max_strangers || connections_.size() >= options_.max_connections) {
    spdlog::warn("{}: too many connections, this one is dropped", peer);
    close(fd);
    return;
  }
  const size_t before = connections_.size();
  try {
    Connection& connection = connections_.emplace_back();
    connection.channel = std::make_unique<SocketChannel>(fd, clock_);
    connection.thread = std::thread(
        [this, &connection, id = next_session_++, peer] { Serve(connection, id, peer); });
  } catch (const std::exception&) {  // no memory, or no thread
    if (connections_.size() == before || connections_.back().channel == nullptr) close(fd);
    if (connections_.size() != before) connections_.pop_back();
    spdlog::warn("{}: no memory for this connection, it is dropped", peer);
  }
}

void MirrorServer::Serve(Connection& connection, SessionId id, const std::string& peer) {
  try {
    ServeSession(connection, id, peer);
  } catch (const std::bad_alloc&) {  // as if the peer had gone
    spdlog::warn("{}: no memory; connection dropped", peer);
  }
  connection.channel->Cut();
  connection.finished = true;
}

void MirrorServer::ServeSession(Connection& connection, SessionId id, const std::string& peer) {
  // Its end comes first: its keys are dead before the peer sees the connection close.
  ControlSession session(copy_, id, peer, options_.key, random_, options_.pm);
  const Deadline auth_deadline = After(clock_, options_.auth_timeout);
  while (!stopping_) {
    const Deadline deadline =
        session.authenticated() ? After(clock_, options_.silence) : auth_deadline;
    const auto frame = connection.channel->Receive(session.frame_limit(), deadline);
    if (!frame) {
      if (frame.error().code != ErrorCode::kPeerLost && !stopping_) {
        spdlog::warn("{}: {}; connection dropped", peer, frame.error().message);
        (void)connection.channel->Send(RefusalFrame(frame.error()), After(clock_, kSendTimeout));
      }
      break;
    }
    bool hang_up = false;
    const Frame answer = session.Handle(*frame, hang_up);
    connection.authenticated = session.authenticated();
    if (!connection.channel->Send(answer, After(clock_, kSendTimeout)) || hang_up) break;
  }
}

void MirrorServer::ApplyLoop() {
  while (!stopping_) {
    copy_.AwaitApplyWork(kApplyInterval);
    const Status applied = Apply();
    // Other errors the copy keeps: it says them in status and takes no more.
    if (!applied && applied.error().code == ErrorCode::kNoMemory)
      std::this_thread::sleep_for(kApplyInterval);
  }
}

}  // namespace mirdax
