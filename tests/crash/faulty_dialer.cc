// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/faulty_dialer.h"

#include <utility>

namespace mirdax::crash {
namespace {

class FaultyChannel final : public FrameChannel {
 public:
  FaultyChannel(std::unique_ptr<FrameChannel> real, Faults& faults)
      : real_(std::move(real)), faults_(faults) {}

  Status Send(const Frame& frame, Deadline deadline) override {
    const Faults::Aside aside;
    if (faults_.Strikes(FaultKind::kHangUp)) {
      real_->Cut();
      return Fail(ErrorCode::kPeerLost, "cut on purpose");
    }
    lost_ = faults_.Strikes(FaultKind::kRequest);
    return lost_ ? Status() : real_->Send(frame, deadline);
  }
  Result<Frame> Receive(size_t limit, Deadline deadline) override {
    const Faults::Aside aside;
    if (lost_) return Fail(ErrorCode::kTimedOut, "lost on purpose");
    auto frame = real_->Receive(limit, deadline);
    if (frame && faults_.Strikes(FaultKind::kRefusal)) {
      return RefusalFrame(Error{ErrorCode::kIo, "refused on purpose"});
    }
    return frame;
  }
  void Cut() noexcept override { real_->Cut(); }

 private:
  const std::unique_ptr<FrameChannel> real_;
  Faults& faults_;
  bool lost_ = false;  // the last request
};

class FaultyLink final : public DataLink {
 public:
  FaultyLink(std::unique_ptr<DataLink> real, Faults& faults)
      : real_(std::move(real)), faults_(faults) {}

  void SetWindows(std::vector<RemoteWindow> windows) override {
    real_->SetWindows(std::move(windows));
  }
  Status Write(uint64_t offset, std::span<const std::byte> bytes, Deadline deadline) override {
    const Faults::Aside aside;
    if (faults_.Strikes(FaultKind::kPush)) return Fail(ErrorCode::kPeerLost, "cut on purpose");
    return real_->Write(offset, bytes, deadline);
  }
  Status Send(std::span<const std::byte> message, Deadline deadline) override {
    const Faults::Aside aside;
    if (faults_.Strikes(FaultKind::kPush)) return Fail(ErrorCode::kPeerLost, "cut on purpose");
    return real_->Send(message, deadline);
  }
  Result<bool> Poll(std::vector<std::byte>& message) override {
    const Faults::Aside aside;
    auto came = real_->Poll(message);
    if (!came || !*came) return came;
    if (faults_.Strikes(FaultKind::kCut)) return Fail(ErrorCode::kPeerLost, "cut on purpose");
    if (faults_.Strikes(FaultKind::kAnswer)) return false;
    return true;
  }
  uint64_t completed() const noexcept override { return real_->completed(); }
  size_t inline_limit() const noexcept override { return real_->inline_limit(); }
  DataLink* real() const noexcept { return real_.get(); }

 private:
  const std::unique_ptr<DataLink> real_;
  Faults& faults_;
};

class FaultyDialer final : public MirrorDialer {
 public:
  FaultyDialer(std::unique_ptr<MirrorDialer> real, Faults& faults)
      : real_(std::move(real)), faults_(faults) {}

  Result<std::unique_ptr<FrameChannel>> DialControl(const std::string& address,
                                                    Deadline deadline) override {
    const Faults::Aside aside;
    MIRDAX_TRY(Dial());
    MIRDAX_ASSIGN(auto channel, real_->DialControl(address, deadline));
    return std::make_unique<FaultyChannel>(std::move(channel), faults_);
  }
  Result<std::unique_ptr<DataLink>> DialData(const DataEndpoint& endpoint,
                                             std::span<std::byte> memory,
                                             Deadline deadline) override {
    const Faults::Aside aside;
    MIRDAX_TRY(Dial());
    MIRDAX_ASSIGN(auto link, real_->DialData(endpoint, memory, deadline));
    return std::make_unique<FaultyLink>(std::move(link), faults_);
  }
  bool has_threads() const noexcept override { return real_->has_threads(); }
  void WaitAny(std::span<DataLink* const> links, Deadline deadline) override {
    const Faults::Aside aside;
    std::vector<DataLink*> real;
    for (DataLink* link : links) real.push_back(static_cast<FaultyLink*>(link)->real());
    real_->WaitAny(real, deadline);
  }

 private:
  Status Dial() {
    if (!faults_.Strikes(FaultKind::kHangUp)) return {};
    return Fail(ErrorCode::kPeerLost, "refused on purpose");
  }

  const std::unique_ptr<MirrorDialer> real_;
  Faults& faults_;
};

}  // namespace

std::unique_ptr<MirrorDialer> MakeFaultyDialer(std::unique_ptr<MirrorDialer> real, Faults& faults) {
  return std::make_unique<FaultyDialer>(std::move(real), faults);
}

}  // namespace mirdax::crash
