// SPDX-License-Identifier: BSD-2-Clause
// The primary's end of a data connection over libfabric (FI_EP_MSG).
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "replicator/dialer.h"
#include "replicator/fabric/fabric_objects.h"

namespace mirdax::fabric {

// Threads, errors: as DataLink.
class FabricLink final : public DataLink {
 public:
  static Result<std::unique_ptr<FabricLink>> Connect(const DataEndpoint& endpoint,
                                                     std::span<std::byte> memory, Clock& clock,
                                                     Deadline deadline);
  FabricLink(const FabricLink&) = delete;
  FabricLink& operator=(const FabricLink&) = delete;
  ~FabricLink() override;

  void SetWindows(std::vector<RemoteWindow> windows) override { windows_ = std::move(windows); }
  Status Write(uint64_t offset, std::span<const std::byte> bytes, Deadline deadline) override;
  Status Send(std::span<const std::byte> message, Deadline deadline) override;
  Result<bool> Poll(std::vector<std::byte>& message) override;
  uint64_t completed() const noexcept override { return completed_; }
  size_t inline_limit() const noexcept override { return inline_limit_; }

  WaitEntry wait_entry() const {
    return {endpoint_->fabric(), &endpoint_->cq()->fid, endpoint_->cq_fd()};
  }
  bool has_message() const { return !inbox_.empty(); }

 private:
  explicit FabricLink(Clock& clock) : clock_(clock) {}
  Status Prepare(std::span<std::byte> memory);
  Status PostReceive(size_t slot);
  // Takes what has completed. kPeerLost.
  Status Progress();
  // Until fewer operations than the queue holds are under way.
  Status AwaitRoom(Deadline deadline);
  template <typename Operation>
  Status Issue(Operation operation, Deadline deadline);

  Clock& clock_;
  std::vector<RemoteWindow> windows_;
  std::deque<std::vector<std::byte>> inbox_;
  size_t inline_limit_ = 0;
  size_t outstanding_ = 0;  // operations whose completion has not been seen
  uint64_t completed_ = 0;
  size_t queue_size_ = 0;
  std::vector<std::byte> receive_memory_;
  std::vector<std::byte> send_memory_;
  std::vector<size_t> free_sends_;  // slots of send_memory_
  // The registrations are closed before the domain they belong to.
  std::unique_ptr<Endpoint> endpoint_;
  std::unique_ptr<Buffer> pool_buffer_;
  std::unique_ptr<Buffer> receive_buffer_;
  std::unique_ptr<Buffer> send_buffer_;
};

}  // namespace mirdax::fabric
