// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/bent_wire.h"

#include "fs/format/checksums.h"

namespace mirdax::fuzz {
namespace {

constexpr uint64_t kMostPassed = 64;

class BentChannel final : public FrameChannel {
 public:
  BentChannel(std::unique_ptr<FrameChannel> inner, std::string address, Bender& bender,
              sim::SimClock& clock)
      : inner_(std::move(inner)), address_(std::move(address)), bender_(bender), clock_(clock) {}

  Status Send(const Frame& frame, Deadline deadline) override {
    if (cut_) return Fail(ErrorCode::kPeerLost, "reset");
    return inner_->Send(frame, deadline);
  }
  Result<Frame> Receive(size_t limit, Deadline deadline) override {
    if (cut_) return Fail(ErrorCode::kPeerLost, "reset");
    if (again_) {
      Frame frame = std::move(*again_);
      again_.reset();
      return frame;
    }
    MIRDAX_ASSIGN(Frame frame, inner_->Receive(limit, deadline));
    const Bend bend = bender_.Next(address_);
    if (bend.fate == Bend::Fate::kLost) {
      clock_.AdvanceTo(deadline);
      return Fail(ErrorCode::kTimedOut, "no answer in time");
    }
    if (bend.fate == Bend::Fate::kReset) {
      cut_ = true;
      return Fail(ErrorCode::kPeerLost, "reset");
    }
    if (bend.type) frame.type = static_cast<FrameType>(*bend.type);
    bend.edits.Resize(frame.payload);
    bend.edits.Change(frame.payload);
    // Over the wire's own encoding, where a wrong checksum and a wrong length are found.
    std::vector<std::byte> bytes = EncodeFrame(frame);
    if (bend.edits.broken) bytes.back() ^= std::byte{1};
    MIRDAX_ASSIGN(const FrameHeader header,
                  DecodeFrameHeader(std::span(bytes).first<sizeof(FrameHeader)>(), limit));
    MIRDAX_ASSIGN(frame, DecodeFrame(header, {bytes.begin() + sizeof(FrameHeader), bytes.end()}));
    if (bend.fate == Bend::Fate::kTwice) again_ = frame;
    return frame;
  }
  void Cut() noexcept override {
    cut_ = true;
    inner_->Cut();
  }

 private:
  const std::unique_ptr<FrameChannel> inner_;
  const std::string address_;
  Bender& bender_;
  sim::SimClock& clock_;
  bool cut_ = false;
  std::optional<Frame> again_;
};

class BentLink final : public DataLink {
 public:
  BentLink(std::unique_ptr<DataLink> inner, std::string address, Bender& bender)
      : inner_(std::move(inner)), address_(std::move(address)), bender_(bender) {}

  void SetWindows(std::vector<RemoteWindow> windows) override {
    inner_->SetWindows(std::move(windows));
  }
  Status Write(uint64_t offset, std::span<const std::byte> bytes, Deadline deadline) override {
    return inner_->Write(offset, bytes, deadline);
  }
  Status Send(std::span<const std::byte> message, Deadline deadline) override {
    return inner_->Send(message, deadline);
  }
  Result<bool> Poll(std::vector<std::byte>& message) override {
    if (silent_) return false;
    if (again_) {
      message = std::move(*again_);
      again_.reset();
      return true;
    }
    MIRDAX_ASSIGN(const bool came, inner_->Poll(message));
    if (!came) return false;
    const Bend bend = bender_.Next(address_);
    if (bend.fate == Bend::Fate::kReset) return Fail(ErrorCode::kPeerLost, "reset");
    if (bend.fate == Bend::Fate::kLost) {
      silent_ = true;
      return false;
    }
    bend.edits.Resize(message);
    bend.edits.Change(message);
    if (bend.edits.any() && !bend.edits.broken && message.size() >= sizeof(DataReply)) {
      const uint32_t crc = ChecksumOf(message, offsetof(DataReply, crc));
      std::memcpy(message.data() + offsetof(DataReply, crc), &crc, sizeof(crc));
    }
    if (bend.fate == Bend::Fate::kTwice) again_ = message;
    return true;
  }
  uint64_t completed() const noexcept override { return inner_->completed(); }
  size_t inline_limit() const noexcept override { return inner_->inline_limit(); }

 private:
  const std::unique_ptr<DataLink> inner_;
  const std::string address_;
  Bender& bender_;
  bool silent_ = false;
  std::optional<std::vector<std::byte>> again_;
};

class BentDialer final : public MirrorDialer {
 public:
  BentDialer(std::unique_ptr<MirrorDialer> inner, Bender& bender, sim::SimClock& clock)
      : inner_(std::move(inner)), bender_(bender), clock_(clock) {}

  Result<std::unique_ptr<FrameChannel>> DialControl(const std::string& address,
                                                    Deadline deadline) override {
    MIRDAX_ASSIGN(auto channel, inner_->DialControl(address, deadline));
    return std::make_unique<BentChannel>(std::move(channel), address, bender_, clock_);
  }
  Result<std::unique_ptr<DataLink>> DialData(const DataEndpoint& endpoint,
                                             std::span<std::byte> memory,
                                             Deadline deadline) override {
    MIRDAX_ASSIGN(auto link, inner_->DialData(endpoint, memory, deadline));
    // A node's data address is its name.
    return std::make_unique<BentLink>(
        std::move(link),
        std::string(reinterpret_cast<const char*>(endpoint.address.data()),
                    endpoint.address.size()),
        bender_);
  }
  bool has_threads() const noexcept override { return false; }
  void WaitAny(std::span<DataLink* const> links, Deadline deadline) override {
    inner_->WaitAny(links, deadline);
  }

 private:
  const std::unique_ptr<MirrorDialer> inner_;
  Bender& bender_;
  sim::SimClock& clock_;
};

}  // namespace

void Bender::AddSteps(Grammar& grammar) {
  PayloadEdits::AddSteps(grammar);
  grammar.push_back({"pass", {{Argument::kIndex, kMostPassed}}});
  grammar.push_back({"type", {{Argument::kIndex, 80}}});
  grammar.push_back({"bent", {}});
  grammar.push_back({"lost", {}});
  grammar.push_back({"reset", {}});
  grammar.push_back({"twice", {}});
}

bool Bender::Take(std::string_view word, const std::array<uint64_t, kMostNumbers>& n) {
  if (next_.edits.Take(word, n)) return true;
  if (word == "pass") {
    for (uint64_t i = 0; i < n[0] % kMostPassed; ++i) bends_.emplace_back();
    return true;
  }
  if (word == "type") {
    next_.type = static_cast<uint16_t>(n[0]);
    return true;
  }
  if (word == "bent")
    next_.fate = Bend::Fate::kArrives;
  else if (word == "lost")
    next_.fate = Bend::Fate::kLost;
  else if (word == "reset")
    next_.fate = Bend::Fate::kReset;
  else if (word == "twice")
    next_.fate = Bend::Fate::kTwice;
  else
    return false;
  bends_.push_back(std::exchange(next_, {}));
  return true;
}

Bend Bender::Next(const std::string& address) {
  if (bends_.empty()) return {};
  Bend bend = std::move(bends_.front());
  bends_.pop_front();
  if (!bend.harmless()) liars_.insert(address);
  return bend;
}

std::unique_ptr<MirrorDialer> MakeBentDialer(std::unique_ptr<MirrorDialer> inner, Bender& bender,
                                             sim::SimClock& clock) {
  return std::make_unique<BentDialer>(std::move(inner), bender, clock);
}

}  // namespace mirdax::fuzz
