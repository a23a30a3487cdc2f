// SPDX-License-Identifier: BSD-2-Clause
// The mirror's end of a data connection over libfabric (FI_EP_MSG).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "fs/base/mutex.h"
#include "replicator/data_target.h"
#include "replicator/fabric/fabric_objects.h"

namespace mirdax::fabric {

// Listens on one address, accepts one connection that shows the cookie, and then serves it in a
// thread of its own: that thread also drives the provider, because with tcp the target's writes
// are done by whoever progresses the target.
//
// Threads, errors: as DataTarget.
class FabricTarget final : public DataTarget {
 public:
  static Result<std::unique_ptr<FabricTarget>> Listen(const std::string& provider,
                                                      const std::string& host, const Cookie& cookie,
                                                      std::span<std::byte> memory,
                                                      std::shared_ptr<DataHandler> handler,
                                                      Clock& clock);
  FabricTarget(const FabricTarget&) = delete;
  FabricTarget& operator=(const FabricTarget&) = delete;
  ~FabricTarget() override;

  const DataEndpoint& endpoint() const override { return description_; }
  Result<std::vector<RemoteWindow>> Register(std::span<const PoolRange> ranges,
                                             Deadline deadline) override;
  void Close() override MIRDAX_EXCLUDES(mutex_);

 private:
  enum class State : uint8_t { kListening, kConnected, kEnded };

  FabricTarget(const Cookie& cookie, std::span<std::byte> memory,
               std::shared_ptr<DataHandler> handler, Clock& clock);
  Status Bind(const std::string& provider, const std::string& host);
  void Run();
  Status Accept();
  // As NextEvent(); kShutdown soon after Close() was called.
  Result<Event> AwaitEvent(fid_eq* eq, Deadline deadline);
  Status Prepare();
  Status Serve();
  Status PostReceive(size_t slot);
  // True when there was one.
  Result<bool> TakeCompletions();
  Status HandleMessage(std::span<const std::byte> message);
  Status SendReply(const DataReply& reply);
  void SetState(State state) MIRDAX_EXCLUDES(mutex_);

  const std::span<std::byte> memory_;
  const std::shared_ptr<DataHandler> handler_;
  Clock& clock_;
  DataEndpoint description_;
  std::atomic<bool> stop_ = false;  // Close() was called
  int stop_fd_ = -1;                // an eventfd: readable then, which ends a wait

  Info info_;
  Owned<fid_fabric> fabric_;
  Owned<fid_eq> eq_;
  Owned<fid_pep> listener_;

  // Of the thread, once it runs; endpoint_ is read by Register() after kConnected.
  std::vector<std::byte> receive_memory_;
  std::vector<std::byte> send_memory_;
  std::vector<size_t> free_sends_;
  std::unique_ptr<Endpoint> endpoint_;
  std::unique_ptr<Buffer> receive_buffer_;
  std::unique_ptr<Buffer> send_buffer_;

  mutable Mutex mutex_;
  CondVar changed_;
  State state_ MIRDAX_GUARDED_BY(mutex_) = State::kListening;
  std::string reason_ MIRDAX_GUARDED_BY(mutex_) = "closed";
  std::vector<Owned<fid_mr>> windows_ MIRDAX_GUARDED_BY(mutex_);
  std::thread thread_ MIRDAX_GUARDED_BY(mutex_);
};

class FabricTargetFactory final : public DataTargetFactory {
 public:
  // `provider`: "auto" takes what the primary asks for. `host`: where to listen.
  FabricTargetFactory(std::string provider, std::string host, Clock& clock)
      : provider_(std::move(provider)), host_(std::move(host)), clock_(clock) {}

  Result<std::unique_ptr<DataTarget>> Listen(const std::string& provider, const Cookie& cookie,
                                             std::span<std::byte> memory,
                                             std::shared_ptr<DataHandler> handler) override;

 private:
  const std::string provider_;
  const std::string host_;
  Clock& clock_;
};

}  // namespace mirdax::fabric
