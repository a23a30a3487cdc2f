// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/fabric/fabric_link.h"

#include <algorithm>

#include "fs/base/check.h"
#include "replicator/data_wire.h"

namespace mirdax::fabric {
namespace {

constexpr size_t kReceiveSlots = 2 * kDataWindow;
constexpr size_t kSendSlots = kDataWindow + 2;

// With the tcp provider a write of its own costs a system call here and one on the mirror; copying
// 16 KiB costs less. A NIC does not need that help.
constexpr size_t kInlineLimitTcp = size_t{16} * 1024;
constexpr size_t kInlineLimitRdma = 512;

// What an operation was, in its context pointer.
constexpr uintptr_t kWriteTag = 1;
constexpr uintptr_t kReceiveTag = 0x100;
constexpr uintptr_t kSendTag = 0x200;

// NOLINTNEXTLINE(performance-no-int-to-ptr): a tag that comes back, never followed
void* Context(uintptr_t tag) { return reinterpret_cast<void*>(tag); }

}  // namespace

Result<std::unique_ptr<FabricLink>> FabricLink::Connect(const DataEndpoint& endpoint,
                                                        std::span<std::byte> memory, Clock& clock,
                                                        Deadline deadline) {
  MIRDAX_ASSIGN(const Info info, InfoForConnecting(endpoint));
  std::unique_ptr<FabricLink> link(new FabricLink(clock));
  MIRDAX_ASSIGN(link->endpoint_, Endpoint::Open(info.get()));
  MIRDAX_TRY(link->Prepare(memory));
  const int error = fi_connect(link->endpoint_->ep(), endpoint.address.data(),
                               endpoint.cookie.data(), endpoint.cookie.size());
  if (error != 0) return Fail(FabricError(error, "data connection"));
  MIRDAX_ASSIGN(const Event event, NextEvent(link->endpoint_->eq(), clock, deadline));
  if (event.type != FI_CONNECTED)
    return Fail(ErrorCode::kPeerLost, "the mirror refused the data connection");
  return link;
}

FabricLink::~FabricLink() {
  if (endpoint_ != nullptr) endpoint_->CloseEp();
}

Status FabricLink::Prepare(std::span<std::byte> memory) {
  const fi_info* info = endpoint_->info();
  queue_size_ = std::min<size_t>(info->tx_attr->size, 128);
  inline_limit_ = endpoint_->info()->fabric_attr->prov_name == std::string_view("tcp")
                      ? kInlineLimitTcp
                      : kInlineLimitRdma;
  receive_memory_.resize(kReceiveSlots * sizeof(DataReply));
  send_memory_.resize(kSendSlots * kMaxDataMessage);
  for (size_t slot = 0; slot < kSendSlots; ++slot) free_sends_.push_back(slot);
  fid_domain* domain = endpoint_->domain();
  MIRDAX_ASSIGN(pool_buffer_, Buffer::Make(domain, info, memory, FI_WRITE));
  MIRDAX_ASSIGN(receive_buffer_, Buffer::Make(domain, info, receive_memory_, FI_RECV));
  MIRDAX_ASSIGN(send_buffer_, Buffer::Make(domain, info, send_memory_, FI_SEND));
  for (size_t slot = 0; slot < kReceiveSlots; ++slot) MIRDAX_TRY(PostReceive(slot));
  return {};
}

Status FabricLink::PostReceive(size_t slot) {
  const ssize_t error =
      fi_recv(endpoint_->ep(), receive_memory_.data() + slot * sizeof(DataReply), sizeof(DataReply),
              receive_buffer_->descriptor(), FI_ADDR_UNSPEC, Context(kReceiveTag + slot));
  if (error != 0) return Fail(FabricError(error, "posting a receive"));
  return {};
}

Status FabricLink::Progress() {
  std::array<fi_cq_msg_entry, 16> entries{};
  for (;;) {
    const ssize_t count = fi_cq_read(endpoint_->cq(), entries.data(), entries.size());
    if (count == -FI_EAGAIN) return {};
    if (count == -FI_EAVAIL) {
      fi_cq_err_entry error{};
      fi_cq_readerr(endpoint_->cq(), &error, 0);
      if (error.err == FI_ECANCELED)  // what was under way when the connection went
        return Fail(ErrorCode::kPeerLost, "the data connection was closed");
      return Fail(FabricError(error.err, "data connection"));
    }
    if (count < 0) return Fail(FabricError(count, "data connection"));
    completed_ += static_cast<uint64_t>(count);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const auto tag = reinterpret_cast<uintptr_t>(entries[i].op_context);
      if (tag >= kSendTag) {
        free_sends_.push_back(tag - kSendTag);
        --outstanding_;
      } else if (tag >= kReceiveTag) {
        const size_t slot = tag - kReceiveTag;
        const std::byte* bytes = receive_memory_.data() + slot * sizeof(DataReply);
        inbox_.emplace_back(bytes, bytes + std::min(entries[i].len, sizeof(DataReply)));
        MIRDAX_TRY(PostReceive(slot));
      } else {
        --outstanding_;
      }
    }
    if (static_cast<size_t>(count) < entries.size()) return {};
  }
}

Status FabricLink::AwaitRoom(Deadline deadline) {
  while (outstanding_ >= queue_size_ || free_sends_.empty()) {
    const size_t before = outstanding_;
    MIRDAX_TRY(Progress());
    if (outstanding_ < before) continue;
    if (clock_.MonotonicNanoseconds() >= deadline)
      return Fail(ErrorCode::kTimedOut, "the mirror takes no more data");
    const WaitEntry entry = wait_entry();
    WaitForQueues({&entry, 1}, -1, clock_, deadline);
  }
  return {};
}

template <typename Operation>
Status FabricLink::Issue(Operation operation, Deadline deadline) {
  for (;;) {
    const ssize_t error = operation();
    if (error == 0) break;
    if (error != -FI_EAGAIN) return Fail(FabricError(error, "data connection"));
    MIRDAX_TRY(Progress());
    if (clock_.MonotonicNanoseconds() >= deadline)
      return Fail(ErrorCode::kTimedOut, "the mirror takes no more data");
    const WaitEntry entry = wait_entry();
    WaitForQueues({&entry, 1}, -1, clock_, deadline);
  }
  ++outstanding_;
  return {};
}

Status FabricLink::Write(uint64_t offset, std::span<const std::byte> bytes, Deadline deadline) {
  const auto window =
      std::find_if(windows_.begin(), windows_.end(), [&](const RemoteWindow& candidate) {
        return offset >= candidate.range.offset && offset < candidate.range.end() &&
               bytes.size() <= candidate.range.end() - offset;
      });
  if (window == windows_.end())
    return Fail(ErrorCode::kInvalid, "the mirror has opened no window at offset {}", offset);
  // Large writes go in pieces, so that a slow peer is seen before its deadline is long over.
  const size_t piece = std::min<size_t>(endpoint_->info()->ep_attr->max_msg_size, 1U << 20);
  while (!bytes.empty()) {
    const std::span<const std::byte> part = bytes.first(std::min(piece, bytes.size()));
    MIRDAX_TRY(AwaitRoom(deadline));
    const uint64_t target = window->address + (offset - window->range.offset);
    MIRDAX_TRY(Issue(
        [&] {
          return fi_write(endpoint_->ep(), part.data(), part.size(), pool_buffer_->descriptor(),
                          FI_ADDR_UNSPEC, target, window->key, Context(kWriteTag));
        },
        deadline));
    bytes = bytes.subspan(part.size());
    offset += part.size();
  }
  return {};
}

Status FabricLink::Send(std::span<const std::byte> message, Deadline deadline) {
  MIRDAX_CHECK(message.size() <= kMaxDataMessage);
  MIRDAX_TRY(AwaitRoom(deadline));
  const size_t slot = free_sends_.back();
  std::byte* copy = send_memory_.data() + slot * kMaxDataMessage;
  std::copy(message.begin(), message.end(), copy);
  MIRDAX_TRY(Issue(
      [&] {
        return fi_send(endpoint_->ep(), copy, message.size(), send_buffer_->descriptor(),
                       FI_ADDR_UNSPEC, Context(kSendTag + slot));
      },
      deadline));
  free_sends_.pop_back();
  return {};
}

Result<bool> FabricLink::Poll(std::vector<std::byte>& message) {
  if (inbox_.empty()) MIRDAX_TRY(Progress());
  if (inbox_.empty()) return false;
  message = std::move(inbox_.front());
  inbox_.pop_front();
  return true;
}

}  // namespace mirdax::fabric
