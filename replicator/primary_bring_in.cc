// SPDX-License-Identifier: BSD-2-Clause
// How mirrors come to be in sync: at the mount, and after they were lost.
#include <spdlog/spdlog.h>

#include <new>

#include "fs/base/memory_reserve.h"
#include "fs/base/mutant.h"
#include "fs/format/names.h"
#include "replicator/fill.h"
#include "replicator/primary_impl.h"

namespace mirdax {
namespace {

constexpr auto kRejoinInterval = std::chrono::seconds(2);
constexpr auto kLongestPause = std::chrono::seconds(60);  // between fills that fail

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
  if (!links_.empty() && dialer_->has_threads()) rejoin_ = std::thread([this] { RejoinLoop(); });
  return {};
}

Status PrimaryReplication::Impl::Attach(MirrorLink& link, const PrivateBlock& block) {
  AttachRequest request{
      Uuid{pool_.superblock().set_uuid}, Uuid{block.copy_uuid}, EpochsOf(block), {}};
  for (const auto& other : links_)
    if (other.get() != &link && other->attached())
      request.attached.push_back(other->info().copy_uuid);
  return link.Attach(request, key_.get(), random_);
}

Status PrimaryReplication::Impl::AttachAll(const PrivateBlock& block) {
  if (!options_.no_auth && !options_.mirrors.empty()) {
    MIRDAX_ASSIGN(key_, Key::Load(options_.key_file));
  }
  for (const std::string& address : options_.mirrors) {
    links_.push_back(
        std::make_unique<MirrorLink>(address, *dialer_, clock_, options_.mirror_timeout));
    MirrorLink& link = *links_.back();
    Status status = Attach(link, block);
    if (status) continue;
    if (!IsLoss(status.error())) return status;
    if (!options_.degraded)
      return Fail(status.error().code, "{}; or mount with -o degraded to go on without it",
                  status.error().message);
    link.MarkFailed(status.error());
    Eject(link, status.error().message);
  }
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
  return (block.clean == 1 || Mutated(Mutant::kUncleanTrusted)) &&
         membership_.IsInSync(info.copy_uuid) && info.state == CopyState::kConsistent &&
         info.error.empty() &&
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
  if (!membership_.MissingFrom(in_sync).empty() && !Mutated(Mutant::kMissingStaysListed)) {
    MIRDAX_TRY(membership_.Change(in_sync));
    epoch_ = membership_.epoch();
  }
  if (!links_.empty() && dialer_->has_threads())
    heartbeat_ = std::thread([this] { HeartbeatLoop(); });
  for (MirrorLink* link : to_fill) {
    Status filled = Fill(*link);
    if (filled) continue;
    if (!IsLoss(filled.error()) || !options_.degraded) return filled;
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
  // Half a copy is worth less than what the mirror has now.
  MIRDAX_TRY(CheckAllocated(pool_, [&](const std::function<void(Lsn)>& slice) {
    const FifoGate::Turn turn(gate_);
    if (ended_ || closing_) return false;
    slice(Commit());
    return true;
  }));
  FillRequest request;
  request.superblock = pool_.superblock();
  {
    const FifoGate::Turn turn(gate_);
    if (ended_) return Fail(*ended_);
    if (closing_) return Fail(ErrorCode::kPeerLost, "the mount ended before the fill");
    request.commit = Commit();
    request.epochs = EpochsOf(private_store_.Get());
    link.StartFill(request.commit, epoch_);
    UpdateApplied();  // journal and freed blocks are kept for it from here on (R2)
  }
  Status status = CopyTo(link, request);
  {
    const FifoGate::Turn turn(gate_);
    if (status) status = ended_ ? Status(Fail(*ended_)) : PutOnList(link, request);
    if (!status) GiveUpFill(link, status.error());
    UpdateApplied();
  }
  MIRDAX_TRY(status);
  spdlog::info("mirror {}: in sync, filled in {:.1f} s", link.address(),
               static_cast<double>(clock_.MonotonicNanoseconds() - begin) / 1e9);
  return {};
}

Status PrimaryReplication::Impl::CopyTo(MirrorLink& link, FillRequest& request) {
  spdlog::info("mirror {}: filling it with a full copy", link.address());
  MIRDAX_TRY(link.BeginFill(request));
  MIRDAX_TRY(link.OpenData(options_.fabric, region_.memory()));
  const auto run_slice = [&](const std::function<void(Lsn)>& slice) {
    const FifoGate::Turn turn(gate_);
    if (ended_ || closing_ || link.failure()) return false;
    slice(Commit());
    if (!Mutated(Mutant::kFillNotAwaited)) link.AwaitAnswers();
    return !link.failure();
  };
  // What was committed since the fill began; then it gets every batch.
  bool ok = run_slice([&](Lsn commit) {
    link.Post({{}, request.commit, commit}, epoch_, region_, geometry_);
    link.Join();
  });
  uint64_t copied = 0;
  ok = ok && CopyAllocated(pool_, link, run_slice, [&](uint64_t done, uint64_t total) {
         copied = done;
         if (options_.progress)
           options_.progress(fmt::format("mirror {}: filling, {} of {} MiB", link.address(),
                                         done >> 20, total >> 20));
       });
  if (closing_) return Fail(ErrorCode::kPeerLost, "the mount ended during the fill");
  if (const std::optional<Error> failure = link.failure()) return Fail(*failure);
  if (!ok) return Fail(ErrorCode::kStale, "the mount has stopped");
  if (options_.progress)
    options_.progress(fmt::format("mirror {}: filled with {} MiB\n", link.address(), copied >> 20));
  return {};
}

Status PrimaryReplication::Impl::PutOnList(MirrorLink& link, FillRequest& request) {
  if (const std::optional<Error> failure = link.failure()) return Fail(*failure);
  MIRDAX_TRY(MemoryReserve::Replenish());  // the list is changed as a whole, or not
  // It may have become shorter meanwhile: the joiner is told what holds now.
  request.commit = Commit();
  request.epochs = EpochsOf(private_store_.Get());
  MIRDAX_TRY(link.EndFill(request));
  std::vector<MirrorLink*> in_sync = InSync();
  in_sync.push_back(&link);
  if (Status changed = membership_.Change(in_sync); !changed)
    return End(std::move(changed).error());
  epoch_ = membership_.epoch();
  const bool listed = Contains(in_sync, &link);
  if (listed) link.SetState(State::kInSync, "");
  MIRDAX_TRY(EjectFailed());
  if (!listed || link.state() != State::kInSync) return Fail(*link.failure());
  return {};
}

void PrimaryReplication::Impl::GiveUpFill(MirrorLink& link, const Error& error) {
  if (link.state() == State::kEjected) return;
  link.MarkFailed(error);
  Eject(link, WithWords(error).message);
}

Status PrimaryReplication::Impl::Reattach(MirrorLink& link) {
  link.Reset();
  MIRDAX_TRY(Attach(link, private_store_.Get()));
  if (closing_) return Fail(ErrorCode::kPeerLost, "the mount ended");
  // It is there; so if this fails, it may do so again and again, and costs both ends a lot.
  MirrorLink::Retry& retry = link.retry;
  const auto pause = std::min(kRejoinInterval * (1U << std::min(retry.failed, 5U)), kLongestPause);
  ++retry.failed;
  retry.due = After(clock_, pause);
  MIRDAX_TRY(link.TryData(options_.fabric, region_.memory()));
  MIRDAX_TRY(Fill(link));
  retry = {};
  return {};
}

Status PrimaryReplication::Impl::TryToReattach(MirrorLink& link) {
  try {
    return Reattach(link);
  } catch (const std::bad_alloc&) {  // half of a slice must not be followed by another
    const FifoGate::Turn turn(gate_);
    GiveUpFill(link, {ErrorCode::kNoMemory, {}});
    UpdateApplied();
  }
  return Fail(ErrorCode::kNoMemory);
}

bool PrimaryReplication::Impl::HasEnded() {
  const FifoGate::Turn turn(gate_);
  return ended_.has_value();
}

void PrimaryReplication::Impl::Rejoin() {
  const auto reserve = MemoryReserve::Open();  // without it a later attempt
  if (!reserve || HasEnded()) return;
  for (const auto& link : links_) {
    if (link->state() != State::kEjected || closing_) continue;
    if (Mutated(Mutant::kFailedFillFinal) && link->retry.failed != 0) continue;
    if (dialer_->has_threads() && clock_.MonotonicNanoseconds() < link->retry.due) continue;
    const std::string before = link->status().reason;
    const Status status = TryToReattach(*link);
    if (status) continue;
    const FifoGate::Turn turn(gate_);
    if (status.error().code == ErrorCode::kStale && !ended_) (void)End(status.error());  // R6
    link->Cut();
    const std::string why = WithWords(status.error()).message;
    if (why != before) link->SetState(State::kEjected, why);
  }
}

void PrimaryReplication::Impl::RejoinLoop() {
  for (;;) {
    {
      const MutexLock lock(heartbeat_mutex_);
      if (!closing_) rejoin_wake_.WaitFor(heartbeat_mutex_, kRejoinInterval);
      if (closing_) return;
    }
    Rejoin();
  }
}

}  // namespace mirdax
