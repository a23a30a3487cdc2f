// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/primary_replication.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "fs/base/check.h"
#include "fs/base/memory_reserve.h"
#include "fs/format/names.h"
#include "replicator/adaptive_poll.h"
#include "replicator/fabric/fabric_dialer.h"
#include "replicator/fabric/fabric_objects.h"
#include "replicator/fill.h"
#include "replicator/membership.h"
#include "replicator/mirror_link.h"

namespace mirdax {
namespace {

constexpr auto kMaxHeartbeat = std::chrono::milliseconds(1000);
constexpr auto kLongestPoll = std::chrono::microseconds(100);
constexpr auto kApplyPoll = std::chrono::milliseconds(2);  // while space waits for the mirrors

bool Contains(const std::vector<MirrorLink*>& links, const MirrorLink* link) {
  return std::find(links.begin(), links.end(), link) != links.end();
}

bool IsLoss(const Error& error) {
  return error.code == ErrorCode::kPeerLost || error.code == ErrorCode::kTimedOut;
}

}  // namespace

// Locks: `gate` is not a mutex but a state: whoever owns it (the commit leader from Post() to
// Wait(), or the heartbeat thread) may use the data paths and change the in-sync list.
class PrimaryReplication::Impl {
 public:
  Impl(Pool& pool, PrivateStore& private_store, ReplicationOptions options, Clock& clock,
       Random& random, std::unique_ptr<MirrorDialer> dialer)
      : pool_(pool),
        region_(pool.region()),
        geometry_(pool.geometry()),
        private_store_(private_store),
        options_(std::move(options)),
        clock_(clock),
        random_(random),
        dialer_(std::move(dialer)),
        poll_(clock, dialer_->has_threads() ? kLongestPoll : std::chrono::microseconds(0)),
        membership_(region_, private_store, clock, random) {}
  ~Impl() { Close(); }

  Status Connect();
  void Post(const ReplicationBatch& batch) MIRDAX_EXCLUDES(gate_mutex_);
  Status Wait() MIRDAX_EXCLUDES(gate_mutex_);
  Lsn applied() const { return applied_.load(std::memory_order_acquire); }
  void RequestApply(Lsn lsn) MIRDAX_EXCLUDES(heartbeat_mutex_);
  Status DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) MIRDAX_EXCLUDES(gate_mutex_);
  std::vector<MirrorStatus> mirrors() const;
  void Close() MIRDAX_EXCLUDES(heartbeat_mutex_);
  void Beat() MIRDAX_EXCLUDES(gate_mutex_);

 private:
  using State = MirrorLink::State;

  Status AttachAll(const PrivateBlock& block);
  Status CheckMissing() const;
  bool ProvablyEqual(const PrivateBlock& block, const MirrorLink& link) const;
  Status BringIn(const PrivateBlock& block);
  Status Fill(MirrorLink& link);

  std::vector<MirrorLink*> InSync() const;
  bool CollectAll(const std::vector<MirrorLink*>& links);
  Status AwaitAnswers();  // of the posted batch. REQUIRES: the gate is ours.
  // Takes every failed mirror off the list, durably. REQUIRES: the gate is ours.
  Status EjectFailed();
  void Eject(MirrorLink& link, const std::string& reason);
  Status End(Error error);  // I2: nothing is acknowledged any more
  void UpdateApplied();

  void OpenGate() MIRDAX_EXCLUDES(gate_mutex_);
  void CloseGate() MIRDAX_EXCLUDES(gate_mutex_);
  void HeartbeatLoop();

  Pool& pool_;
  Region& region_;
  const Geometry geometry_;
  PrivateStore& private_store_;
  const ReplicationOptions options_;
  Clock& clock_;
  Random& random_;
  const std::unique_ptr<MirrorDialer> dialer_;
  AdaptivePoll poll_;  // owned with the gate
  Membership membership_;
  std::vector<std::unique_ptr<MirrorLink>> links_;  // fixed before the heartbeat begins

  Mutex gate_mutex_;
  CondVar gate_opened_;
  bool gate_closed_ MIRDAX_GUARDED_BY(gate_mutex_) = false;
  EpochId epoch_{};             // owned with the gate
  std::optional<Error> ended_;  // ditto

  Mutex applied_mutex_;  // of those who store applied_
  std::atomic<Lsn> applied_ = kNoMirror;
  std::atomic<Lsn> wanted_ = 0;  // highest RequestApply()

  Mutex heartbeat_mutex_;
  CondVar heartbeat_wake_;
  bool closing_ MIRDAX_GUARDED_BY(heartbeat_mutex_) = false;
  bool hurry_ MIRDAX_GUARDED_BY(heartbeat_mutex_) = false;
  std::thread heartbeat_;
};

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

std::vector<MirrorLink*> PrimaryReplication::Impl::InSync() const {
  std::vector<MirrorLink*> links;
  for (const auto& link : links_)
    if (link->state() == State::kInSync) links.push_back(link.get());
  return links;
}

void PrimaryReplication::Impl::CloseGate() {
  const MutexLock lock(gate_mutex_);
  while (gate_closed_) gate_opened_.Wait(gate_mutex_);  // its owner's waits have deadlines
  gate_closed_ = true;
}

void PrimaryReplication::Impl::OpenGate() {
  const MutexLock lock(gate_mutex_);
  gate_closed_ = false;
  gate_opened_.NotifyOne();
}

void PrimaryReplication::Impl::Post(const ReplicationBatch& batch) {
  CloseGate();
  if (ended_) return;
  for (MirrorLink* link : InSync()) link->Post(batch, epoch_, region_, geometry_);
  // No mirror's fault: they stay on the list, and hold all that was acknowledged.
  if (Status readable = CheckReadable(batch, region_); !readable)
    (void)End(std::move(readable).error());
}

bool PrimaryReplication::Impl::CollectAll(const std::vector<MirrorLink*>& links) {
  bool all = true;
  for (MirrorLink* link : links) all = link->Collect() && all;
  return all;
}

Status PrimaryReplication::Impl::Wait() {
  try {
    return AwaitAnswers();
  } catch (const std::bad_alloc&) {  // who has answered what is not known any more
    ended_ = Error{ErrorCode::kNoMemory, {}};
  }
  OpenGate();
  return Fail(*ended_);
}

Status PrimaryReplication::Impl::AwaitAnswers() {
  const std::vector<MirrorLink*> links = InSync();
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
  OpenGate();
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
  for (MirrorLink* link : InSync()) {
    std::optional<Error> failure = link->failure();
    // A copy that was promoted cuts us off without a word: ask before calling its mirror lost (R6).
    if (failure && failure->code == ErrorCode::kPeerLost) {
      const Status asked = link->Heartbeat(0);
      if (!asked && asked.error().code == ErrorCode::kStale) failure = asked.error();
    }
    if (failure && failure->code == ErrorCode::kStale) return End(*failure);
    (failure ? failed : survivors).push_back(link);
  }
  if (failed.empty()) return {};
  // Cut first: not a byte goes to them under the new epoch.
  for (MirrorLink* link : failed) Eject(*link, link->failure()->message);
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
  for (const MirrorLink* link : InSync()) applied = std::min(applied, link->applied());
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
  CloseGate();
  for (MirrorLink* link : InSync())
    if (link->applied() < lsn && link->unapplied_for() >= options_.apply_patience)
      link->MarkLagging(lsn, stuck);
  Status status = ended_ ? Status(Fail(*ended_)) : EjectFailed();
  OpenGate();
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
    failed = failed || state == State::kInSync;
  }
  if (failed) {
    CloseGate();  // not in the middle of a batch
    if (!ended_) (void)EjectFailed();
    OpenGate();
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
  }
  if (!heartbeat_.joinable() && links_.empty()) return;
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
Lsn PrimaryReplication::applied() const noexcept { return impl_->applied(); }
void PrimaryReplication::RequestApply(Lsn lsn) { impl_->RequestApply(lsn); }
Status PrimaryReplication::DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) {
  return impl_->DropLaggards(lsn, stuck);
}
std::vector<MirrorStatus> PrimaryReplication::mirrors() const { return impl_->mirrors(); }
void PrimaryReplication::Beat() { impl_->Beat(); }
void PrimaryReplication::Close() { impl_->Close(); }

}  // namespace mirdax
