// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/fabric/fabric_target.h"

#include <openssl/crypto.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <system_error>

#include "fs/base/check.h"
#include "fs/base/random.h"
#include "replicator/adaptive_poll.h"

namespace mirdax::fabric {
namespace {

constexpr size_t kReceiveSlots = 2 * kDataWindow;
constexpr size_t kSendSlots = 2 * kDataWindow;
constexpr auto kAcceptTimeout = std::chrono::seconds(5);
constexpr auto kIdle = std::chrono::seconds(1);  // a look at the state of things, at least

constexpr uintptr_t kReceiveTag = 0x100;
constexpr uintptr_t kSendTag = 0x200;

// NOLINTNEXTLINE(performance-no-int-to-ptr): a tag that comes back, never followed
void* Context(uintptr_t tag) { return reinterpret_cast<void*>(tag); }

// Somebody who asks for a connection: told no, unless an endpoint takes the request over.
class Request {
 public:
  Request(fid_pep* listener, const fi_info& info) : listener_(listener), info_(info) {}
  ~Request() {
    if (info_.handle != nullptr) fi_reject(listener_, info_.handle, nullptr, 0);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

 private:
  fid_pep* const listener_;
  const fi_info& info_;
};

}  // namespace

Result<std::unique_ptr<DataTarget>> FabricTargetFactory::Listen(
    const std::string& provider, const Cookie& cookie, std::span<std::byte> memory,
    std::shared_ptr<DataHandler> handler) {
  if (provider_ != "auto" && provider != "auto" && provider != provider_)
    return Fail(ErrorCode::kInvalid,
                "this mirror serves fabric {}, the primary wants {}; give both the same", provider_,
                provider);
  return FabricTarget::Listen(provider_ == "auto" ? provider : provider_, host_, cookie, memory,
                              std::move(handler), clock_);
}

FabricTarget::FabricTarget(const Cookie& cookie, std::span<std::byte> memory,
                           std::shared_ptr<DataHandler> handler, Clock& clock)
    : memory_(memory), handler_(std::move(handler)), clock_(clock) {
  description_.cookie = cookie;
}

Result<std::unique_ptr<FabricTarget>> FabricTarget::Listen(
    const std::string& provider, const std::string& host, const Cookie& cookie,
    std::span<std::byte> memory, std::shared_ptr<DataHandler> handler, Clock& clock) {
  std::unique_ptr<FabricTarget> target(new FabricTarget(cookie, memory, std::move(handler), clock));
  MIRDAX_TRY(target->Bind(provider, host));
  const MutexLock lock(target->mutex_);
  try {
    target->thread_ = std::thread([self = target.get()] { self->Run(); });
  } catch (const std::system_error&) {  // no thread
    return Fail(ErrorCode::kNoMemory);
  }
  return target;
}

FabricTarget::~FabricTarget() {
  Close();
  if (stop_fd_ >= 0) close(stop_fd_);
}

Status FabricTarget::Bind(const std::string& provider, const std::string& host) {
  stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd_ < 0) return Fail(FromErrno(errno, "eventfd"));
  MIRDAX_ASSIGN(info_, InfoForListening(provider, host));
  fid_fabric* fabric = nullptr;
  int error = fi_fabric(info_->fabric_attr, &fabric, nullptr);
  if (error != 0) return Fail(FabricError(error, "fi_fabric"));
  fabric_.reset(fabric);
  fi_eq_attr attr{};
  attr.wait_obj = FI_WAIT_FD;
  fid_eq* eq = nullptr;
  if ((error = fi_eq_open(fabric, &attr, &eq, nullptr)) != 0)
    return Fail(FabricError(error, "fi_eq_open"));
  eq_.reset(eq);
  fid_pep* listener = nullptr;
  if ((error = fi_passive_ep(fabric, info_.get(), &listener, nullptr)) != 0)
    return Fail(FabricError(error, "fi_passive_ep"));
  listener_.reset(listener);
  if ((error = fi_pep_bind(listener, &eq->fid, 0)) != 0 || (error = fi_listen(listener)) != 0)
    return Fail(FabricError(error, "listening for the data connection"));
  description_.provider = info_->fabric_attr->prov_name;
  description_.address.resize(sizeof(sockaddr_storage));
  size_t length = description_.address.size();
  if ((error = fi_getname(&listener->fid, description_.address.data(), &length)) != 0)
    return Fail(FabricError(error, "fi_getname"));
  description_.address.resize(length);
  return {};
}

void FabricTarget::SetState(State state) {
  const MutexLock lock(mutex_);
  state_ = state;
  changed_.NotifyAll();
}

void FabricTarget::Run() {
  Status result;
  try {
    result = Accept();
    if (result) {
      SetState(State::kConnected);
      result = Serve();
    }
  } catch (const std::bad_alloc&) {
    result = Fail(ErrorCode::kNoMemory);
  }
  listener_.reset();  // who is still connecting need not wait
  const MutexLock lock(mutex_);
  if (!result) reason_.swap(result.error().message);
  state_ = State::kEnded;
  windows_.clear();
  if (endpoint_ != nullptr) endpoint_->CloseEp();
  changed_.NotifyAll();
}

Result<Event> FabricTarget::AwaitEvent(fid_eq* eq, Deadline deadline) {
  for (;;) {
    if (stop_) return Fail(ErrorCode::kShutdown, "closed");
    auto event = NextEvent(eq, clock_, std::min(deadline, After(clock_, kIdle / 10)));
    if (event || event.error().code != ErrorCode::kTimedOut) return event;
    if (clock_.MonotonicNanoseconds() >= deadline) return event;
  }
}

Status FabricTarget::Accept() {
  const Deadline deadline = After(clock_, kAcceptTimeout);
  for (;;) {
    auto event = AwaitEvent(eq_.get(), deadline);
    // A stranger's attempt that broke off says nothing about the connection that is to come.
    if (!event && event.error().code == ErrorCode::kPeerLost &&
        clock_.MonotonicNanoseconds() < deadline)
      continue;
    if (!event) return Fail(std::move(event).error());
    if (event->type != FI_CONNREQ) continue;
    const Info connection = std::move(event->info);
    const Request request(listener_.get(), *connection);
    // The provider may pad what it hands over.
    if (event->data.size() < description_.cookie.size() ||
        CRYPTO_memcmp(event->data.data(), description_.cookie.data(), description_.cookie.size()) !=
            0)
      continue;
    MIRDAX_ASSIGN(endpoint_, Endpoint::Open(connection.get()));
    MIRDAX_TRY(Prepare());
    const int error = fi_accept(endpoint_->ep(), nullptr, 0);
    if (error != 0) return Fail(FabricError(error, "fi_accept"));
    MIRDAX_ASSIGN(const Event connected, AwaitEvent(endpoint_->eq(), deadline));
    if (connected.type != FI_CONNECTED)
      return Fail(ErrorCode::kPeerLost, "the data connection did not come up");
    listener_.reset();  // the cookie is good for one connection
    return {};
  }
}

Status FabricTarget::Prepare() {
  receive_memory_.resize(kReceiveSlots * kMaxDataMessage);
  send_memory_.resize(kSendSlots * sizeof(DataReply));
  for (size_t slot = 0; slot < kSendSlots; ++slot) free_sends_.push_back(slot);
  MIRDAX_ASSIGN(receive_buffer_,
                Buffer::Make(endpoint_->domain(), endpoint_->info(), receive_memory_, FI_RECV));
  MIRDAX_ASSIGN(send_buffer_,
                Buffer::Make(endpoint_->domain(), endpoint_->info(), send_memory_, FI_SEND));
  for (size_t slot = 0; slot < kReceiveSlots; ++slot) MIRDAX_TRY(PostReceive(slot));
  return {};
}

Status FabricTarget::PostReceive(size_t slot) {
  const ssize_t error =
      fi_recv(endpoint_->ep(), receive_memory_.data() + slot * kMaxDataMessage, kMaxDataMessage,
              receive_buffer_->descriptor(), FI_ADDR_UNSPEC, Context(kReceiveTag + slot));
  if (error != 0) return Fail(FabricError(error, "posting a receive"));
  return {};
}

Result<std::vector<RemoteWindow>> FabricTarget::Register(std::span<const PoolRange> ranges,
                                                         Deadline deadline) {
  const MutexLock lock(mutex_);
  while (state_ == State::kListening) {
    const uint64_t now = clock_.MonotonicNanoseconds();
    if (now >= deadline) return Fail(ErrorCode::kTimedOut, "the data connection did not come");
    changed_.WaitFor(mutex_, std::chrono::nanoseconds(deadline - now));
  }
  if (state_ != State::kConnected)
    return Fail(ErrorCode::kPeerLost, "the data connection is gone: {}", reason_);
  const int mode = endpoint_->info()->domain_attr->mr_mode;
  SystemRandom random;
  std::vector<RemoteWindow> result;
  for (const PoolRange& range : ranges) {
    MIRDAX_CHECK(range.end() <= memory_.size());
    std::byte* base = memory_.data() + range.offset;
    fid_mr* mr = nullptr;
    int error = fi_mr_reg(endpoint_->domain(), base, range.length, FI_REMOTE_WRITE, 0,
                          random.Next64(), 0, &mr, nullptr);
    if (error != 0)
      return Fail(FabricError(error, "registering pool memory with the fabric", ErrorCode::kIo));
    windows_.emplace_back(mr);
    if ((mode & FI_MR_ENDPOINT) != 0 && ((error = fi_mr_bind(mr, &endpoint_->ep()->fid, 0)) != 0 ||
                                         (error = fi_mr_enable(mr)) != 0))
      return Fail(FabricError(error, "registering pool memory with the fabric", ErrorCode::kIo));
    const uint64_t address = (mode & FI_MR_VIRT_ADDR) != 0 ? reinterpret_cast<uint64_t>(base) : 0;
    result.push_back({range, fi_mr_key(mr), address});
  }
  return result;
}

Status FabricTarget::Serve() {
  const std::array<WaitEntry, 2> entries = {
      WaitEntry{endpoint_->fabric(), &endpoint_->cq()->fid, endpoint_->cq_fd()},
      WaitEntry{endpoint_->fabric(), &endpoint_->eq()->fid, endpoint_->eq_fd()}};
  AdaptivePoll poll(clock_, kLongestPoll);
  for (;;) {
    Result<bool> taken = false;
    poll.Wait(
        [&] {
          taken = TakeCompletions();
          return !taken || *taken;
        },
        [&] { WaitForQueues(entries, stop_fd_, clock_, After(clock_, kIdle)); });
    if (!taken) return Fail(std::move(taken).error());
    if (stop_) return {};
    if (*taken) continue;
    uint32_t event = 0;
    alignas(fi_eq_cm_entry) std::array<std::byte, sizeof(fi_eq_cm_entry)> entry{};
    const ssize_t count = fi_eq_read(endpoint_->eq(), &event, entry.data(), entry.size(), 0);
    if (count >= 0 && event == FI_SHUTDOWN)
      return Fail(ErrorCode::kPeerLost, "the primary closed the data connection");
    if (count == -FI_EAVAIL) return Fail(ErrorCode::kPeerLost, "the data connection broke");
  }
}

Result<bool> FabricTarget::TakeCompletions() {
  for (bool taken = false;; taken = true) {
    fi_cq_msg_entry entry{};
    const ssize_t count = fi_cq_read(endpoint_->cq(), &entry, 1);
    if (count == -FI_EAGAIN) return taken;
    if (count == -FI_EAVAIL) {
      fi_cq_err_entry error{};
      fi_cq_readerr(endpoint_->cq(), &error, 0);
      return Fail(FabricError(error.err, "data connection"));
    }
    if (count < 0) return Fail(FabricError(count, "data connection"));
    const auto tag = reinterpret_cast<uintptr_t>(entry.op_context);
    if (tag >= kSendTag) {
      free_sends_.push_back(tag - kSendTag);
    } else if (tag >= kReceiveTag) {
      const size_t slot = tag - kReceiveTag;
      MIRDAX_TRY(HandleMessage(
          {receive_memory_.data() + slot * kMaxDataMessage, std::min(entry.len, kMaxDataMessage)}));
      MIRDAX_TRY(PostReceive(slot));
    }
  }
}

Status FabricTarget::HandleMessage(std::span<const std::byte> message) {
  const std::optional<DataReply> reply = handler_->OnDataMessage(message);
  if (!reply) return Fail(ErrorCode::kInvalid, "refused what the primary sent");
  return SendReply(*reply);
}

Status FabricTarget::SendReply(const DataReply& reply) {
  // The primary has at most kDataWindow requests under way, so that a slot is always free unless it
  // breaks the protocol.
  if (free_sends_.empty()) return Fail(ErrorCode::kInvalid, "too many requests without an answer");
  const size_t slot = free_sends_.back();
  std::byte* copy = send_memory_.data() + slot * sizeof(DataReply);
  std::memcpy(copy, &reply, sizeof(reply));
  const ssize_t error = fi_send(endpoint_->ep(), copy, sizeof(reply), send_buffer_->descriptor(),
                                FI_ADDR_UNSPEC, Context(kSendTag + slot));
  if (error != 0) return Fail(FabricError(error, "answering"));
  free_sends_.pop_back();
  return {};
}

void FabricTarget::Close() {
  stop_ = true;
  const uint64_t one = 1;
  if (write(stop_fd_, &one, sizeof(one)) < 0) MIRDAX_CHECK(errno == EAGAIN);
  std::thread thread;
  {
    const MutexLock lock(mutex_);
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

}  // namespace mirdax::fabric
