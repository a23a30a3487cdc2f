// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/primary_replication.h"

#include <spdlog/spdlog.h>

#include "fs/base/memory_reserve.h"
#include "fs/base/mutant.h"
#include "replicator/fabric/fabric_dialer.h"
#include "replicator/fabric/fabric_objects.h"
#include "replicator/primary_impl.h"

namespace mirdax {
namespace {

constexpr auto kMaxHeartbeat = std::chrono::milliseconds(1000);
constexpr auto kApplyPoll = std::chrono::milliseconds(2);  // while space waits for the mirrors

}  // namespace

std::vector<MirrorLink*> PrimaryReplication::Impl::InSync() const {
  std::vector<MirrorLink*> links;
  for (const auto& link : links_)
    if (link->state() == State::kInSync) links.push_back(link.get());
  return links;
}

std::vector<MirrorLink*> PrimaryReplication::Impl::TakingBatches() const {
  std::vector<MirrorLink*> links;
  for (const auto& link : links_)
    if (link->takes_batches()) links.push_back(link.get());
  return links;
}

void PrimaryReplication::Impl::Post(const ReplicationBatch& batch) {
  gate_.Enter();
  if (ended_) return;
  for (MirrorLink* link : TakingBatches()) {
    if (Mutated(Mutant::kFillMissesBatches) && link->state() == State::kFilling) continue;
    ReplicationBatch rest = batch;
    if (Mutated(Mutant::kPushJournalFirst)) {
      link->Post({.data = {}, .from = batch.from, .to = batch.to}, epoch_, region_, geometry_);
      rest.from = batch.to;
    }
    link->Post(rest, epoch_, region_, geometry_);
  }
  // No mirror's fault: they stay on the list, and hold all that was acknowledged.
  if (Status readable = CheckReadable(batch, region_); !readable)
    (void)End(std::move(readable).error());
}

bool PrimaryReplication::Impl::CollectAll(const std::vector<MirrorLink*>& links) {
  bool all = true;
  for (MirrorLink* link : links) {
    if (Mutated(Mutant::kAnswersNotAwaited)) break;
    all = link->Collect() && all;
    if (Mutated(Mutant::kFirstAnswerCounts)) break;
  }
  return all;
}

// A mirror may have the batch; a fill that went on would take from it what home lacks here.
void PrimaryReplication::Impl::Abandon() {
  if (!ended_) ended_ = Error{ErrorCode::kIo, "the primary could not make a commit durable"};
}

Status PrimaryReplication::Impl::Wait() {
  try {
    return AwaitAnswers();
  } catch (const std::bad_alloc&) {  // who has answered what is not known any more
    ended_ = WithWords({ErrorCode::kNoMemory, {}});
  }
  gate_.Leave();
  return Fail(*ended_);
}

Status PrimaryReplication::Impl::AwaitAnswers() {
  const std::vector<MirrorLink*> links = TakingBatches();
  std::vector<DataLink*> waiting;
  std::vector<uint64_t> seen(links.size());
  std::vector<Deadline> deadlines(links.size(), After(clock_, options_.mirror_timeout));
  for (size_t i = 0; i < links.size(); ++i) seen[i] = links[i]->progress();
  while (!ended_ && !CollectAll(links)) {
    waiting.clear();
    Deadline nearest = ~Deadline{0};
    const uint64_t now = clock_.MonotonicNanoseconds();
    for (size_t i = 0; i < links.size(); ++i) {
      MirrorLink& link = *links[i];
      if (link.Collect()) continue;
      if (link.progress() != seen[i]) {
        seen[i] = link.progress();
        deadlines[i] = After(clock_, options_.mirror_timeout);
      } else if (now >= deadlines[i]) {
        link.GiveUp({ErrorCode::kTimedOut,
                     fmt::format("no answer for {} ms", options_.mirror_timeout.count())});
        continue;
      }
      waiting.push_back(link.data());
      nearest = std::min(nearest, deadlines[i]);
    }
    if (!waiting.empty())
      poll_.Wait([&] { return CollectAll(links); }, [&] { dialer_->WaitAny(waiting, nearest); });
  }
  Status status = ended_ ? Status(Fail(*ended_)) : EjectFailed();
  UpdateApplied();
  gate_.Leave();
  return status;
}

Status PrimaryReplication::Impl::End(Error error) {
  spdlog::critical("{}; nothing is acknowledged any more", error.message);
  ended_ = error;
  return Fail(std::move(error));
}

void PrimaryReplication::Impl::Eject(MirrorLink& link, const std::string& reason) {
  link.Cut();
  link.SetState(State::kEjected, reason);
  spdlog::error("{}; it is out of sync now, and the mount goes on without it", reason);
}

Status PrimaryReplication::Impl::EjectFailed() {
  std::vector<MirrorLink*> failed;
  std::vector<MirrorLink*> survivors;
  for (MirrorLink* link : TakingBatches()) {
    std::optional<Error> failure = link->failure();
    // A copy that was promoted cuts us off without a word: ask before calling its mirror lost (R6).
    if (failure && failure->code == ErrorCode::kPeerLost) {
      const Status asked = link->Heartbeat(0);
      if (!asked && asked.error().code == ErrorCode::kStale) failure = asked.error();
    }
    if (failure && failure->code == ErrorCode::kStale) return End(*failure);
    if (link->state() == State::kInSync)
      (failure ? failed : survivors).push_back(link);
    else if (failure)
      Eject(*link, failure->message);  // being filled: it is on no list
  }
  if (failed.empty()) return {};
  // Cut first: not a byte goes to them under the new epoch.
  for (MirrorLink* link : failed) Eject(*link, link->failure()->message);
  if (Mutated(Mutant::kListNotChanged)) return {};
  const std::vector<MirrorLink*> before = survivors;
  Status status = membership_.Change(survivors);
  if (!status) return End(std::move(status).error());
  epoch_ = membership_.epoch();
  // Only those that the new list lacks. Who fails from now on is on it, and leaves it with an epoch
  // of its own (I1): the heartbeat thread, which saw it, is waiting for the gate.
  for (MirrorLink* link : before)
    if (!Contains(survivors, link)) Eject(*link, link->failure()->message);
  return {};
}

void PrimaryReplication::Impl::UpdateApplied() {
  const MutexLock lock(applied_mutex_);  // an older answer never replaces a newer one (R2)
  Lsn applied = kNoMirror;
  for (const auto& link : links_) {
    const State state = link->state();
    if (Mutated(Mutant::kFillNotWaitedFor) && state == State::kFilling) continue;
    // One whose fill has failed is on no list, and will not be by this fill.
    if (state == State::kInSync || (state == State::kFilling && !link->failure()))
      applied = std::min(applied, link->applied());
  }
  applied_.store(applied, std::memory_order_release);
}

void PrimaryReplication::Impl::RequestApply(Lsn lsn) {
  if (applied() >= lsn) return;
  const MutexLock lock(heartbeat_mutex_);
  wanted_ = std::max(wanted_.load(), lsn);
  hurry_ = true;
  heartbeat_wake_.NotifyOne();
}

Status PrimaryReplication::Impl::DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) {
  if (stuck < options_.apply_patience) return {};
  const FifoGate::Turn turn(gate_);
  for (const auto& link : links_) {
    const State state = link->state();
    if ((state == State::kInSync || state == State::kFilling) && link->applied() < lsn &&
        link->unapplied_for() >= options_.apply_patience)
      link->MarkLagging(lsn, stuck);
  }
  Status status = ended_ ? Status(Fail(*ended_)) : EjectFailed();
  UpdateApplied();
  return status;
}

void PrimaryReplication::Impl::HeartbeatLoop() {
  const auto interval = std::min(kMaxHeartbeat, options_.mirror_timeout / 2);
  for (;;) {
    {
      const MutexLock lock(heartbeat_mutex_);
      const bool space_waits = applied() < wanted_;
      if (!hurry_ && !closing_)
        heartbeat_wake_.WaitFor(heartbeat_mutex_, space_waits ? kApplyPoll : interval);
      if (closing_) return;
      hurry_ = false;
    }
    Beat();
  }
}

void PrimaryReplication::Impl::Beat() {
  const auto reserve = MemoryReserve::Open();  // without it one beat less
  if (!reserve) return;
  bool failed = false;
  for (const auto& link : links_) {
    const State state = link->state();
    // Those that wait for a fill too: they must not take the silence for our end.
    if (link->failure() || state == State::kEjected) continue;
    Status status = link->Heartbeat(wanted_);
    if (status) continue;
    link->MarkFailed(std::move(status).error());
    failed = failed || link->takes_batches();
  }
  if (failed) {
    const FifoGate::Turn turn(gate_);  // not in the middle of a batch
    if (!ended_) (void)EjectFailed();
  }
  UpdateApplied();
}

std::vector<MirrorStatus> PrimaryReplication::Impl::mirrors() const {
  std::vector<MirrorStatus> rows;
  for (const auto& link : links_) rows.push_back(link->status());
  return rows;
}

void PrimaryReplication::Impl::Close() {
  {
    const MutexLock lock(heartbeat_mutex_);
    closing_ = true;
    heartbeat_wake_.NotifyOne();
    rejoin_wake_.NotifyOne();
  }
  if (rejoin_.joinable()) rejoin_.join();
  if (heartbeat_.joinable()) heartbeat_.join();
  for (const auto& link : links_) {
    if (link->state() == State::kInSync && !link->failure()) link->Detach();
    link->Cut();
  }
}

PrimaryReplication::PrimaryReplication(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PrimaryReplication::~PrimaryReplication() = default;

Result<std::unique_ptr<PrimaryReplication>> PrimaryReplication::Connect(
    Pool& pool, PrivateStore& private_store, const ReplicationOptions& options, Clock& clock,
    Random& random) {
  if (!options.mirrors.empty()) fabric::LoadProviders();
  return Connect(pool, private_store, options, clock, random,
                 std::make_unique<fabric::FabricDialer>(clock));
}

Result<std::unique_ptr<PrimaryReplication>> PrimaryReplication::Connect(
    Pool& pool, PrivateStore& private_store, const ReplicationOptions& options, Clock& clock,
    Random& random, std::unique_ptr<MirrorDialer> dialer) {
  auto impl =
      std::make_unique<Impl>(pool, private_store, options, clock, random, std::move(dialer));
  MIRDAX_TRY(impl->Connect());
  return std::unique_ptr<PrimaryReplication>(new PrimaryReplication(std::move(impl)));
}

void PrimaryReplication::Post(const ReplicationBatch& batch) { impl_->Post(batch); }
Status PrimaryReplication::Wait() { return impl_->Wait(); }
void PrimaryReplication::Abandon() { impl_->Abandon(); }
Lsn PrimaryReplication::applied() const noexcept { return impl_->applied(); }
void PrimaryReplication::RequestApply(Lsn lsn) { impl_->RequestApply(lsn); }
Status PrimaryReplication::DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) {
  return impl_->DropLaggards(lsn, stuck);
}
std::vector<MirrorStatus> PrimaryReplication::mirrors() const { return impl_->mirrors(); }
void PrimaryReplication::Beat() { impl_->Beat(); }
void PrimaryReplication::Rejoin() { impl_->Rejoin(); }
void PrimaryReplication::Close() { impl_->Close(); }

}  // namespace mirdax
