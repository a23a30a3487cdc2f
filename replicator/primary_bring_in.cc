// SPDX-License-Identifier: BSD-2-Clause
// How mirrors come to be in sync at the mount.
#include <spdlog/spdlog.h>

#include "fs/format/names.h"
#include "replicator/fill.h"
#include "replicator/primary_impl.h"

namespace mirdax {
namespace {

bool IsLoss(const Error& error) {
  return error.code == ErrorCode::kPeerLost || error.code == ErrorCode::kTimedOut;
}

}  // namespace

Status PrimaryReplication::Impl::Connect() {
  const PrivateBlock block = private_store_.Get();
  if (options_.mirrors.size() > kMaxMirrors)
    return Fail(ErrorCode::kInvalid, "{} mirrors were named, a set has at most {}",
                options_.mirrors.size(), kMaxMirrors);
  epoch_ = CurrentEpoch(block);
  MIRDAX_TRY(AttachAll(block));
  MIRDAX_TRY(CheckMissing());
  MIRDAX_TRY(BringIn(block));
  UpdateApplied();
  return {};
}

Status PrimaryReplication::Impl::AttachAll(const PrivateBlock& block) {
  std::shared_ptr<const Key> key;
  if (!options_.no_auth && !options_.mirrors.empty()) {
    MIRDAX_ASSIGN(key, Key::Load(options_.key_file));
  }
  const AttachRequest request{Uuid{pool_.superblock().set_uuid}, Uuid{block.copy_uuid},
                              EpochsOf(block)};
  for (const std::string& address : options_.mirrors) {
    links_.push_back(
        std::make_unique<MirrorLink>(address, *dialer_, clock_, options_.mirror_timeout));
    MirrorLink& link = *links_.back();
    Status status = link.Attach(request, key.get(), random_);
    if (status) continue;
    if (!IsLoss(status.error()) || !options_.degraded) return status;
    link.MarkFailed(status.error());
    Eject(link, status.error().message);
  }
  for (size_t i = 0; i < links_.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (!links_[i]->failure() && !links_[j]->failure() &&
          links_[i]->info().copy_uuid == links_[j]->info().copy_uuid)
        return Fail(ErrorCode::kInvalid, "mirrors {} and {} are the same copy; name it once",
                    links_[j]->address(), links_[i]->address());
  return {};
}

Status PrimaryReplication::Impl::CheckMissing() const {
  std::vector<MirrorLink*> reached;
  for (const auto& link : links_)
    if (!link->failure()) reached.push_back(link.get());
  const std::vector<Member> missing = membership_.MissingFrom(reached);
  if (missing.empty() || options_.degraded) return {};
  return Fail(
      ErrorCode::kPeerLost,
      "mirror {} (copy {}) was in sync and is not reached: it might have been promoted; name "
      "it with mirror=, or mount with -o degraded to go on without it",
      MemberAddress(missing.front()), Uuid{missing.front().copy_uuid}.ToString());
}

bool PrimaryReplication::Impl::ProvablyEqual(const PrivateBlock& block,
                                             const MirrorLink& link) const {
  const CopyInfo& info = link.info();
  return block.clean == 1 && membership_.IsInSync(info.copy_uuid) &&
         info.state == CopyState::kConsistent && info.error.empty() &&
         CompareEpochs(info.history, HistoryOf(block)) == EpochRelation::kSame &&
         info.commit == region_.As<CommitLine>(kCommitLineOffset).commit &&
         info.tail == info.commit;  // R2: what was quarantined for it is free since the mount
}

Status PrimaryReplication::Impl::BringIn(const PrivateBlock& block) {
  std::vector<MirrorLink*> in_sync;
  std::vector<MirrorLink*> to_fill;
  for (const auto& link : links_) {
    if (link->failure()) continue;
    (ProvablyEqual(block, *link) ? in_sync : to_fill).push_back(link.get());
  }
  for (MirrorLink* link : in_sync) {
    MIRDAX_TRY(link->OpenData(options_.fabric, region_.memory()));
    link->SetState(State::kInSync, "");
    spdlog::info("mirror {}: in sync", link->address());
  }
  // Before anything is changed: a copy that says "filling" is no copy any more.
  for (auto next = to_fill.begin(); next != to_fill.end();) {
    MirrorLink& link = **next;
    Status possible = link.TryData(options_.fabric, region_.memory());
    if (possible) {
      ++next;
      continue;
    }
    if (!IsLoss(possible.error()) || !options_.degraded) return possible;
    link.MarkFailed(possible.error());
    Eject(link, possible.error().message);
    next = to_fill.erase(next);
  }
  // Whoever is about to be filled, or is not here, leaves the list first (R5, R7).
  if (!membership_.MissingFrom(in_sync).empty()) {
    MIRDAX_TRY(membership_.Change(in_sync));
    epoch_ = membership_.epoch();
  }
  if (!links_.empty() && dialer_->has_threads())
    heartbeat_ = std::thread([this] { HeartbeatLoop(); });
  for (MirrorLink* link : to_fill) {
    Status filled = Fill(*link);
    if (filled) continue;
    if (!IsLoss(filled.error()) || !options_.degraded) return filled;
    link->MarkFailed(filled.error());
    Eject(*link, filled.error().message);
  }
  return {};
}

Status PrimaryReplication::Impl::Fill(MirrorLink& link) {
  const auto begin = clock_.MonotonicNanoseconds();
  const uint64_t mirror_size = link.info().pool_size;
  if (mirror_size < geometry_.pool_size)
    return Fail(ErrorCode::kInvalid,
                "mirror {}: its pool has {} bytes, this one {}; use a larger pool", link.address(),
                mirror_size, geometry_.pool_size);
  MIRDAX_TRY(CheckAllocated(pool_));  // half a copy is worth less than what the mirror has now
  CloseGate();
  FillRequest request;
  request.superblock = pool_.superblock();
  request.commit = region_.As<CommitLine>(kCommitLineOffset).commit;
  request.epochs = EpochsOf(private_store_.Get());
  const EpochId epoch = epoch_;
  OpenGate();
  link.SetState(State::kFilling, "a full copy is being made");
  spdlog::info("mirror {}: filling it with a full copy", link.address());
  MIRDAX_TRY(link.BeginFill(request));
  MIRDAX_TRY(link.OpenData(options_.fabric, region_.memory()));
  uint64_t copied = 0;
  const bool ok = CopyAllocated(pool_, link, epoch, [&](uint64_t done, uint64_t total) {
    copied = done;
    if (options_.progress)
      options_.progress(
          fmt::format("mirror {}: filling, {} of {} MiB", link.address(), done >> 20, total >> 20));
  });
  if (!ok) return Fail(*link.failure());
  // The list may have become shorter meanwhile: the joiner is told what holds now.
  CloseGate();
  request.epochs = EpochsOf(private_store_.Get());
  Status status = link.EndFill(request);
  if (status) {
    std::vector<MirrorLink*> in_sync = InSync();
    in_sync.push_back(&link);
    status = membership_.Change(in_sync);
    epoch_ = membership_.epoch();
    if (status && !Contains(in_sync, &link)) status = Fail(*link.failure());
    if (status) link.SetState(State::kInSync, "");
    if (status) status = EjectFailed();
    if (status && link.state() != State::kInSync) status = Fail(*link.failure());
  }
  OpenGate();
  MIRDAX_TRY(status);
  spdlog::info("mirror {}: in sync, filled with {} MiB in {:.1f} s", link.address(), copied >> 20,
               static_cast<double>(clock_.MonotonicNanoseconds() - begin) / 1e9);
  if (options_.progress)
    options_.progress(fmt::format("mirror {}: filled with {} MiB\n", link.address(), copied >> 20));
  return {};
}

}  // namespace mirdax
