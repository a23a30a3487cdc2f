// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/sim/sim_network.h"

#include <algorithm>
#include <new>

#include "fs/base/check.h"

namespace mirdax::sim {

// The mirror's end: a set of windows that can be closed.
class SimTarget final : public DataTarget {
 public:
  SimTarget(SimNode& node, const Cookie& cookie, std::span<std::byte> memory,
            std::shared_ptr<DataHandler> handler)
      : node_(node), memory_(memory), handler_(std::move(handler)) {
    endpoint_.provider = "sim";
    const auto bytes = std::as_bytes(std::span(node.address_));
    endpoint_.address.assign(bytes.begin(), bytes.end());
    endpoint_.cookie = cookie;
  }
  SimTarget(const SimTarget&) = delete;
  SimTarget& operator=(const SimTarget&) = delete;
  ~SimTarget() override { Close(); }

  const DataEndpoint& endpoint() const override { return endpoint_; }
  Result<std::vector<RemoteWindow>> Register(std::span<const PoolRange> ranges, Deadline) override {
    if (!connected) return Fail(ErrorCode::kTimedOut, "the data connection did not come");
    for (const PoolRange& range : ranges)
      windows_.push_back({range, node_.network_.next_key_++, 0});
    return windows_;
  }
  void Close() override {
    windows_.clear();
    if (node_.target_ == this) node_.target_ = nullptr;
  }

  // What a NIC does with a write: the key and the bounds decide.
  bool Place(uint64_t key, uint64_t address, std::span<const std::byte> bytes) {
    const RemoteWindow* window = Find(key, address, bytes.size());
    if (window == nullptr) return false;
    const uint64_t offset = window->range.offset + address;
    if (node_.tap_ != nullptr) node_.tap_->Placing(offset, bytes);
    std::copy(bytes.begin(), bytes.end(), memory_.data() + offset);
    return true;
  }
  const RemoteWindow* Find(uint64_t key, uint64_t address, uint64_t length) const {
    for (const RemoteWindow& window : windows_) {
      if (window.key == key && address <= window.range.length &&
          length <= window.range.length - address)
        return &window;
    }
    return nullptr;
  }
  std::optional<DataReply> Deliver(std::span<const std::byte> message) {
    return handler_->OnDataMessage(message);
  }

  bool connected = false;

 private:
  SimNode& node_;
  const std::span<std::byte> memory_;
  const std::shared_ptr<DataHandler> handler_;
  DataEndpoint endpoint_;
  std::vector<RemoteWindow> windows_;
};

Result<std::unique_ptr<DataTarget>> SimNode::Listen(const std::string&, const Cookie& cookie,
                                                    std::span<std::byte> memory,
                                                    std::shared_ptr<DataHandler> handler) {
  auto target = std::make_unique<SimTarget>(*this, cookie, memory, std::move(handler));
  target_ = target.get();
  return target;
}

bool SimNode::CountDelivery() {
  if (cut_after_ == 0) cut_ = true;
  if (cut_) return false;
  if (cut_after_ != SIZE_MAX) --cut_after_;
  return true;
}

bool SimNode::Run(const std::function<void()>& daemon) {
  try {
    tap_ == nullptr ? daemon() : tap_->Run(daemon);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// A control connection: the mirror's session is called directly.
class SimChannel final : public FrameChannel {
 public:
  SimChannel(SimNetwork& network, SimNode& node) : network_(network), node_(node) {
    node_.channels_.insert(this);
    node_.Run([this] {
      session_ = std::make_unique<ControlSession>(*node_.copy_, network_.next_session_++, "sim",
                                                  node_.key_, network_.random_, "direct");
    });
  }
  SimChannel(const SimChannel&) = delete;
  SimChannel& operator=(const SimChannel&) = delete;
  ~SimChannel() override {
    node_.channels_.erase(this);
    Close();
  }

  Status Send(const Frame& frame, Deadline) override {
    if (node_.cut_ || session_ == nullptr) return Fail(ErrorCode::kPeerLost, "cut");
    requests_.push_back(frame);
    return {};
  }
  Result<Frame> Receive(size_t limit, Deadline deadline) override {
    if (node_.cut_ || session_ == nullptr) return Fail(ErrorCode::kPeerLost, "cut");
    if (node_.frozen_ || requests_.empty()) {
      network_.clock_.AdvanceTo(deadline);
      return Fail(ErrorCode::kTimedOut, "no answer in time");
    }
    network_.clock_.Advance(network_.options_.latency_ns);
    std::vector<std::byte> bytes;
    bool hang_up = false;
    const bool answered = node_.Run([&] {
      const Frame request = requests_.front();
      // Through the wire's own encoding, so that it is tested too.
      bytes = EncodeFrame(session_->Handle(request, hang_up));
    });
    requests_.pop_front();
    if (hang_up || !answered) Close();
    if (!answered) return Fail(ErrorCode::kPeerLost, "cut");
    MIRDAX_ASSIGN(const FrameHeader header,
                  DecodeFrameHeader(std::span(bytes).first<sizeof(FrameHeader)>(), limit));
    return DecodeFrame(header, {bytes.begin() + sizeof(FrameHeader), bytes.end()});
  }
  void Cut() noexcept override { Close(); }

 private:
  void Close() noexcept {
    node_.Run([this] { session_.reset(); });
  }

  SimNetwork& network_;
  SimNode& node_;
  std::unique_ptr<ControlSession> session_;
  std::deque<Frame> requests_;
};

void SimNode::StopServing() {
  copy_ = nullptr;
  for (SimChannel* channel : channels_) channel->Cut();
}

// The primary's end of a data connection. What is posted waits here until somebody polls; then
// writes take effect in a random order, each before the message that followed it.
class SimLink final : public DataLink {
 public:
  SimLink(SimNetwork& network, SimNode& node, const Cookie& cookie)
      : network_(network), node_(node), cookie_(cookie) {}

  void SetWindows(std::vector<RemoteWindow> windows) override { windows_ = std::move(windows); }
  Status Write(uint64_t offset, std::span<const std::byte> bytes, Deadline) override {
    for (const RemoteWindow& window : windows_) {
      if (offset < window.range.offset || offset + bytes.size() > window.range.end()) continue;
      writes_.push_back({window.key, offset - window.range.offset, offset, bytes});
      TellTap(writes_.back());
      return {};
    }
    return Fail(ErrorCode::kInvalid, "the mirror has opened no window at offset {}", offset);
  }
  Status Send(std::span<const std::byte> message, Deadline) override {
    // Writes are read from the primary's memory as late as the contract allows.
    batches_.push_back({std::move(writes_), {message.begin(), message.end()}});
    writes_.clear();
    if (node_.tap_ != nullptr) node_.tap_->Sent();
    return {};
  }
  Result<bool> Poll(std::vector<std::byte>& message) override {
    if (node_.cut_ || broken_) return Fail(ErrorCode::kPeerLost, "cut");
    if (node_.frozen_ || batches_.empty()) return false;
    if (!Deliver(batches_.front(), message)) {
      broken_ = true;
      return Fail(ErrorCode::kPeerLost, "cut");
    }
    batches_.pop_front();
    ++completed_;
    return true;
  }
  uint64_t completed() const noexcept override { return completed_; }
  size_t inline_limit() const noexcept override { return network_.options_.inline_limit; }

 private:
  struct PostedWrite {
    uint64_t key;
    uint64_t address;
    uint64_t offset;
    std::span<const std::byte> bytes;
  };
  struct Batch {
    std::vector<PostedWrite> writes;
    std::vector<std::byte> message;
  };

  // The mirror's end of this connection, while it stands.
  SimTarget* Target() const {
    SimTarget* target = node_.target_;
    return target != nullptr && target->endpoint().cookie == cookie_ ? target : nullptr;
  }
  void TellTap(const PostedWrite& write) {
    SimTarget* target = Target();
    if (node_.tap_ != nullptr && !node_.cut_ && !broken_ && target != nullptr &&
        target->Find(write.key, write.address, write.bytes.size()) != nullptr)
      node_.tap_->Posted(write.offset, write.bytes);
  }

  bool Deliver(Batch& batch, std::vector<std::byte>& reply) {
    SimTarget* target = Target();
    if (target == nullptr) return false;
    std::shuffle(batch.writes.begin(), batch.writes.end(), network_.order_);
    for (const PostedWrite& write : batch.writes) {
      if (!node_.CountDelivery() || !target->Place(write.key, write.address, write.bytes))
        return false;
      node_.log_.push_back(
          {Delivery::Kind::kWrite, write.offset, {write.bytes.begin(), write.bytes.end()}});
    }
    if (!node_.CountDelivery()) return false;
    node_.log_.push_back({Delivery::Kind::kMessage, 0, batch.message});
    std::optional<DataReply> answer;
    if (!node_.Run([&] { answer = target->Deliver(batch.message); }) || !answer) return false;
    if (!node_.CountDelivery()) return false;  // the answer may be lost as well
    const auto bytes = std::as_bytes(std::span(&*answer, 1));
    reply.assign(bytes.begin(), bytes.end());
    return true;
  }

  SimNetwork& network_;
  SimNode& node_;
  const Cookie cookie_;
  bool broken_ = false;
  std::vector<RemoteWindow> windows_;
  std::vector<PostedWrite> writes_;
  std::deque<Batch> batches_;
  uint64_t completed_ = 0;
};

class SimDialer final : public MirrorDialer {
 public:
  explicit SimDialer(SimNetwork& network) : network_(network) {}

  Result<std::unique_ptr<FrameChannel>> DialControl(const std::string& address,
                                                    Deadline deadline) override {
    SimNode* node = network_.Find(address);
    if (node == nullptr || node->cut_ || node->copy_ == nullptr)
      return Fail(ErrorCode::kPeerLost, "connection refused");
    if (node->frozen_) {
      network_.clock_.AdvanceTo(deadline);
      return Fail(ErrorCode::kTimedOut, "no answer in time");
    }
    return std::make_unique<SimChannel>(network_, *node);
  }
  Result<std::unique_ptr<DataLink>> DialData(const DataEndpoint& endpoint, std::span<std::byte>,
                                             Deadline) override {
    const std::string address(reinterpret_cast<const char*>(endpoint.address.data()),
                              endpoint.address.size());
    SimNode* node = network_.Find(address);
    if (node == nullptr || node->cut_ || node->target_ == nullptr ||
        node->target_->endpoint().cookie != endpoint.cookie)
      return Fail(ErrorCode::kPeerLost, "connection refused");
    node->target_->connected = true;
    return std::make_unique<SimLink>(network_, *node, endpoint.cookie);
  }
  bool has_threads() const noexcept override { return false; }
  // Everything that can arrive arrives when it is polled: waiting means that time passes.
  void WaitAny(std::span<DataLink* const>, Deadline deadline) override {
    network_.clock_.AdvanceTo(deadline);
  }

 private:
  SimNetwork& network_;
};

SimNode& SimNetwork::AddNode(const std::string& address) {
  return *(nodes_[address] = std::make_unique<SimNode>(*this, address));
}

SimNode* SimNetwork::Find(const std::string& address) {
  const auto node = nodes_.find(address);
  return node == nodes_.end() ? nullptr : node->second.get();
}

std::unique_ptr<MirrorDialer> SimNetwork::MakeDialer() {
  return std::make_unique<SimDialer>(*this);
}

}  // namespace mirdax::sim
