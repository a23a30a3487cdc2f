// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/replica_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

namespace mirdax::crash {
namespace {

std::string AddressOf(size_t mirror) { return fmt::format("mirror-{}:1", mirror); }

}  // namespace

class ReplicaSet::Mirror final : public sim::SimTap {
 public:
  Mirror(ImageRegion& region, sim::SimNode& node, ApplyMoment apply, Faults* const& faults)
      : region_(region), node_(node), apply_(apply), faults_(faults) {
    node_.set_tap(this);
  }
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;
  ~Mirror() override {
    Stop();
    node_.set_tap(nullptr);
  }

  Status Serve(Clock& clock, Random& random) {
    if (copy_ != nullptr) return {};
    MIRDAX_ASSIGN(pool_, ImagePool::Open(region_));
    MIRDAX_ASSIGN(store_, PrivateStore::Open(region_));
    MIRDAX_ASSIGN(copy_, MirrorCopy::Open(*pool_, *store_, node_, clock, random));
    node_.Serve(*copy_, nullptr);
    return {};
  }
  void Stop() {
    node_.StopServing();
    copy_.reset();
  }
  // As the daemon does. What fails here, the copy says to its primary.
  Status Apply() {
    if (copy_ == nullptr) return {};
    const Faults::Mirror work(faults_);
    try {
      return copy_->Apply();
    } catch (const std::bad_alloc&) {  // not now
      return Fail(ErrorCode::kNoMemory);
    }
  }

  void Posted(uint64_t offset, std::span<const std::byte> bytes) override {
    region_.Write(offset, bytes);
    posts_.push_back(region_.log_size());
    if (apply_ == ApplyMoment::kAtEachWrite) static_cast<void>(Apply());
  }
  void Sent() override {
    posts_.push_back(region_.log_size());
    if (apply_ == ApplyMoment::kAtEachWrite) static_cast<void>(Apply());
  }
  void Run(const std::function<void()>& daemon) override {
    const Faults::Mirror work(faults_);
    daemon();
  }
  void Placing(uint64_t offset, std::span<const std::byte> bytes) override {
    if (!std::equal(bytes.begin(), bytes.end(), region_.At(offset, bytes.size())))
      region_.Write(offset, bytes);
  }

  sim::SimNode& node() { return node_; }
  std::vector<size_t> TakePosts() { return std::exchange(posts_, {}); }

 private:
  ImageRegion& region_;
  sim::SimNode& node_;
  const ApplyMoment apply_;
  Faults* const& faults_;  // the set's
  std::unique_ptr<ImagePool> pool_;
  std::unique_ptr<PrivateStore> store_;
  std::unique_ptr<MirrorCopy> copy_;
  std::vector<size_t> posts_;
};

Status ReplicaSet::Replication::Wait() {
  Status durable = primary_->Wait();
  if (set_.options_.apply == ApplyMoment::kAfterEachBatch) Apply(false);
  return durable;
}

void ReplicaSet::Replication::RequestApply(Lsn lsn) {
  primary_->RequestApply(lsn);
  primary_->Beat();  // tells the mirrors
  const bool again = std::exchange(asked_, lsn) == lsn;
  if (set_.options_.apply == ApplyMoment::kWhenSpaceWaits && !again) return;
  Apply(again);
  primary_->Beat();  // learns how far they are
}

void ReplicaSet::Replication::Apply(bool space_waits) {
  const Faults::Aside aside;  // not the primary
  for (const auto& mirror : set_.mirrors_) {
    const bool lazy = set_.options_.last_is_lazy && mirror == set_.mirrors_.back();
    if (!mirror->node().frozen() && (space_waits || !lazy)) static_cast<void>(mirror->Apply());
  }
}

void ReplicaSet::Replication::Rejoin() {
  primary_->Beat();  // learns who is lost
  primary_->Rejoin();
}

std::string ReplicaSet::Replication::WhyOut(size_t mirror) const {
  const MirrorStatus status = StatusOf(mirror);
  return status.state == "in-sync" ? "" : fmt::format("{}: {}", status.state, status.reason);
}

ReplicaSet::ReplicaSet(const std::vector<std::unique_ptr<ImageRegion>>& regions,
                       const ReplicaOptions& options)
    : options_(options),
      random_(options.seed),
      network_(clock_, random_, {options.seed, options.inline_limit, 10'000}) {
  for (size_t i = 0; i < regions.size(); ++i) {
    const bool lazy = options.last_is_lazy && i + 1 == regions.size();
    mirrors_.push_back(std::make_unique<Mirror>(*regions[i], network_.AddNode(AddressOf(i)),
                                                lazy ? ApplyMoment::kWhenSpaceWaits : options.apply,
                                                faults_));
  }
}

ReplicaSet::~ReplicaSet() = default;

Status ReplicaSet::Serve() {
  for (const auto& mirror : mirrors_) MIRDAX_TRY(mirror->Serve(clock_, random_));
  return {};
}

void ReplicaSet::Stop(size_t mirror) { mirrors_[mirror]->Stop(); }

Result<std::unique_ptr<ReplicaSet::Replication>> ReplicaSet::Connect(MountedImage& primary,
                                                                     size_t from, bool degraded) {
  ReplicationOptions options;
  for (size_t i = from; i < mirrors_.size(); ++i) options.mirrors.push_back(AddressOf(i));
  options.no_auth = true;
  options.degraded = degraded;
  if (between_slices_) options.progress = [this](const std::string&) { between_slices_(); };
  auto dialer = network_.MakeDialer();
  if (dialer_seam_) dialer = dialer_seam_(std::move(dialer));
  MIRDAX_ASSIGN(auto connected,
                PrimaryReplication::Connect(primary.pool(), primary.private_store(), options,
                                            clock_, random_, std::move(dialer)));
  return std::make_unique<Replication>(*this, std::move(connected), from);
}

Status ReplicaSet::ApplyAll() {
  for (const auto& mirror : mirrors_) MIRDAX_TRY(mirror->Apply());
  return {};
}

sim::SimNode& ReplicaSet::node(size_t mirror) { return mirrors_[mirror]->node(); }

std::vector<size_t> ReplicaSet::TakePosts(size_t mirror) { return mirrors_[mirror]->TakePosts(); }

}  // namespace mirdax::crash
