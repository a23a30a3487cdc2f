// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/journalled_transactions.h"

#include <algorithm>
#include <limits>
#include <new>
#include <thread>
#include <utility>

#include "fs/base/memory_reserve.h"
#include "fs/base/mutant.h"
#include "fs/core/replay.h"

namespace mirdax {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirstPoll = 50us;
constexpr auto kLastPoll = 5ms;
constexpr auto kPingInterval = 200ms;

constexpr uint64_t kBytesPerCredit = kLinesPerBlock * RecordBuilder::kBytesPerLine;
// Keeps commits short, DRAM small and recovery fast, however big the journal is.
constexpr uint64_t kMostRecordBytes = uint64_t{8} << 20;
constexpr uint64_t kMostUncheckpointed = uint64_t{16} << 20;

constexpr Lsn kNotCommitted = std::numeric_limits<Lsn>::max();

}  // namespace

Result<std::unique_ptr<TransactionManager>> TransactionManager::Start(Region& region,
                                                                      const Geometry& geometry,
                                                                      PrivateStore& private_store,
                                                                      ReplicationSink& sink) {
  const Lsn tail = private_store.Get().tail;
  MIRDAX_ASSIGN(const Lsn commit, ReadCommitWord(region, geometry, tail));
  if (commit != tail) {
    return Fail(ErrorCode::kInvalid, "the journal was not replayed: tail {}, commit word {}", tail,
                commit);
  }
  return std::make_unique<JournalledTransactions>(region, geometry, private_store, sink, commit);
}

JournalledTransactions::JournalledTransactions(Region& region, const Geometry& geometry,
                                               PrivateStore& private_store, ReplicationSink& sink,
                                               Lsn commit)
    : region_(region),
      geometry_(geometry),
      private_store_(private_store),
      sink_(sink),
      record_limit_(std::min(geometry.journal.length / 4, kMostRecordBytes)),
      checkpoint_bytes_(std::min(geometry.journal.length / 4, kMostUncheckpointed)),
      overlay_(region, geometry),
      journal_(region, geometry),
      home_(region),
      end_(commit),
      commit_(commit),
      tail_(commit) {}

Result<BlockView> JournalledTransactions::Read(BlockNo block, BlockKind kind) {
  return overlay_.Read(block, kind);
}

// --- operations ---

Result<Tx> JournalledTransactions::Begin(uint32_t credits) {
  MIRDAX_TRY(MemoryReserve::Replenish());  // an operation of many steps may have taken from it
  const uint64_t need = CreditBytes(credits);
  for (;;) {
    TxId full = 0;  // the transaction that has to be committed first
    {
      MutexLock lock(mutex_);
      while (closing_) opened_.Wait(mutex_);
      if (shut_down()) return Fail(WhyDown());
      const uint64_t sum = RunningBytes() + need;
      const bool alone = live_ == 0 && overlay_.dirty_lines() == 0;
      if (!alone && sum > record_limit_) {
        full = running_;
      } else if (UsedBytes() + sum <= geometry_.journal.length) {
        ++live_;
        credited_ += need;
        return Join(running_, credits);
      }
    }
    if (full != 0) {
      MIRDAX_TRY(Commit(full));
      continue;
    }
    TakeLead();
    const Status space = WaitForSpace(need);
    Resign();
    MIRDAX_TRY(space);
  }
}

void JournalledTransactions::End(Tx& tx) {
  MutexLock lock(mutex_);
  credited_ -= CreditBytes(CreditsOf(tx));
  if (--live_ == 0 && closing_) idle_.NotifyAll();
}

Result<std::byte*> JournalledTransactions::ModifyBlock(Tx& /*tx*/, BlockNo block, BlockKind kind,
                                                       uint64_t offset, uint64_t length) {
  return overlay_.Modify(block, kind, offset, length);
}

std::byte* JournalledTransactions::CreateBlock(Tx& /*tx*/, BlockNo block, BlockKind kind) {
  return overlay_.Create(block, kind);
}

void JournalledTransactions::ForgetBlock(Tx& /*tx*/, BlockNo block) { overlay_.Forget(block); }

void JournalledTransactions::AddDataRange(Tx& /*tx*/, PoolRange range) {
  MIRDAX_CHECK(range.offset >= geometry_.data.offset && range.end() >= range.offset &&
               range.end() <= geometry_.data.end());
  data_.Add(range);
}

void JournalledTransactions::AbortTx(const Error& why) { ShutDown(why); }

// --- leadership ---

void JournalledTransactions::TakeLead() {
  MutexLock lock(mutex_);
  while (led_by_someone_) led_.Wait(mutex_);
  led_by_someone_ = true;
  leader_.Assume();
}

void JournalledTransactions::Resign() {
  leader_.Resign();
  MutexLock lock(mutex_);
  led_by_someone_ = false;
  led_.NotifyAll();
}

// --- commit ---

Status JournalledTransactions::Commit(TxId id) {
  for (;;) {
    {
      MutexLock lock(mutex_);
      MIRDAX_CHECK(id <= running_);
      // One leader commits for all: most callers find their transaction done when it is.
      if (Mutated(Mutant::kCommitUnderWay) && led_by_someone_) return {};
      while (committed_ < id && !shut_down() && led_by_someone_) {
        led_.Wait(mutex_);
        if (Mutated(Mutant::kWaiterNotInBatch) && !led_by_someone_) return {};
      }
      if (committed_ >= id) return {};
      if (shut_down()) return Fail(WhyDown());
      led_by_someone_ = true;
      leader_.Assume();
    }
    Status done = CommitRunning();
    Resign();
    NotifyStable();
    if (!done && done.error().code == ErrorCode::kNoMemory) return done;
  }
}

Status JournalledTransactions::CommitAll() {
  TxId id = 0;
  {
    MutexLock lock(mutex_);
    id = running_;
  }
  return Commit(id);
}

Status JournalledTransactions::CommitRunning() {
  Result<Closed> closed = Close();
  if (!closed) return Fail(closed.error());  // shut down meanwhile, or no memory
  if (const Status done = TryPublish(*closed); !done) {
    if (!Mutated(Mutant::kFailedCommitForgotten)) ShutDown(done.error());
    return Fail(ErrorCode::kShutdown);
  }
  const Lsn applied = sink_.applied();
  Lsn commit = 0;
  bool due_here = false;
  {
    MutexLock lock(mutex_);
    committed_ = closed->id;
    ++commits_;
    commit = commit_;
    unstable_.back().second = commit;  // Close() has made the entry
    if (unstable_.size() > 1 && unstable_[unstable_.size() - 2].second == commit) {
      unstable_.pop_back();
      unstable_.back().first = closed->id;
    }
    due_here = commit - tail_ > checkpoint_bytes_;
    if (due_here) led_.NotifyAll();  // the commit's callers need not wait for the checkpoint
  }
  if (commit > applied && commit - applied > checkpoint_bytes_) sink_.RequestApply(commit);
  // If it fails, what is owed stays owed; Begin() reports it once the journal is full.
  if (due_here) static_cast<void>(CheckpointHere());
  return {};
}

Result<JournalledTransactions::Closed> JournalledTransactions::Close() {
  Closed closed;
  record_.Clear();
  {
    MutexLock lock(mutex_);
    closing_ = true;
    while (live_ > 0 && !Mutated(Mutant::kCloseAmidOperation)) idle_.Wait(mutex_);
    closed.id = running_;
    closed.from = commit_;
  }
  // From here to the end nobody holds a Tx: what the overlay shows is what the record gets (I4).
  if (const Status readable = CheckMetadata(); !readable) ShutDown(readable.error());
  const bool down = shut_down();  // an aborted transaction is never committed
  bool prepared = false;
  if (!down) {
    try {
      Prepare(closed);
      prepared = true;
    } catch (const std::bad_alloc&) {
    }
  }
  if (prepared) overlay_.Close(closed.blocks, record_);
  MutexLock lock(mutex_);
  if (prepared) {
    ++running_;
    end_ = closed.from + record_.length();
  }
  closing_ = false;
  opened_.NotifyAll();
  if (down) return Fail(WhyDown());
  if (!prepared) return Fail(ErrorCode::kNoMemory);
  return closed;
}

void JournalledTransactions::Prepare(Closed& closed) {
  closed.blocks = overlay_.Listed();
  record_.Reserve(overlay_.dirty_lines());
  for (const auto& buffer : closed.blocks) home_.Expect(buffer->block);
  {
    MutexLock lock(mutex_);
    unstable_.emplace_back(closed.id, kNotCommitted);
  }
  try {
    closed.data = data_.Take();  // last: who takes them must commit
    if (Mutated(Mutant::kMetadataPushed) || Mutated(Mutant::kHomePushTaken)) {
      for (const auto& buffer : closed.blocks)
        closed.data.push_back({buffer->block * kBlockSize, kBlockSize});
    }
  } catch (const std::bad_alloc&) {
    MutexLock lock(mutex_);
    unstable_.pop_back();
    throw;
  }
}

Status JournalledTransactions::TryPublish(const Closed& closed) {
  try {
    return Publish(closed);
  } catch (const std::bad_alloc&) {
    return Fail(ErrorCode::kNoMemory);
  }
}

Status JournalledTransactions::Publish(const Closed& closed) {
  if (record_.empty() && closed.data.empty()) return {};
  if (!record_.empty()) {
    if (record_.length() > geometry_.journal.length / 2) {
      return Fail(ErrorCode::kShutdown, "a transaction of {} bytes does not fit the journal",
                  record_.length());
    }
    MIRDAX_TRY(WaitForSpace(0));  // UsedBytes() counts the record already
    record_.Seal(closed.from, closed.id, CurrentEpoch(private_store_.Get()).number);
    journal_.Append(closed.from, record_);
  }
  const Lsn to = closed.from + record_.length();
  if (Mutated(Mutant::kHomePushTaken)) home_.Apply(record_.patches(), record_.bytes());
  sink_.Post({.data = closed.data, .from = closed.from, .to = to});
  const Status here = PersistHere(closed);
  if (!here) sink_.Abandon();
  Status mirrors = sink_.Wait();  // always: the pair of Post()
  MIRDAX_TRY(here);
  return mirrors;
}

Status JournalledTransactions::PersistHere(const Closed& closed) {
  // The writers' own threads drained nothing; a flush here covers their stores (region.h).
  for (const PoolRange& range : closed.data) region_.Flush(range.offset, range.length);
  const Lsn to = closed.from + record_.length();
  if (Mutated(Mutant::kCommitWordFirst) && !record_.empty()) MIRDAX_TRY(journal_.Publish(to));
  if (Mutated(Mutant::kDrainErrorIgnored)) {
    (void)region_.Drain();
  } else if (!Mutated(Mutant::kRecordNotDrained)) {
    MIRDAX_TRY(region_.Drain());
  }
  MIRDAX_TRY(CheckMetadata());  // the record's own place, too
  if (region_.bad().any() && !Mutated(Mutant::kPoisonedStore)) {
    for (const PoolRange& range : closed.data)
      MIRDAX_TRY(region_.CheckGood(range.offset, range.length));
  }
  if (record_.empty()) return {};
  if (Mutated(Mutant::kHomeBeforeCommit)) home_.Apply(record_.patches(), record_.bytes());
  MIRDAX_TRY(journal_.Publish(to));                 // R1: data and record are durable
  home_.Apply(record_.patches(), record_.bytes());  // I3: the commit word is
  overlay_.Release(closed.blocks);
  MutexLock lock(mutex_);
  commit_ = to;
  return {};
}

Status JournalledTransactions::CheckMetadata() const {
  if (region_.bad().in_metadata() == 0 || Mutated(Mutant::kPoisonCommitted)) return {};
  return Fail(DescribeLoss(region_.bad()));
}

// --- checkpoint ---

Status JournalledTransactions::CheckpointHere() {
  Lsn target = 0;
  {
    MutexLock lock(mutex_);
    target = commit_;
    if (tail_ == target) return {};
  }
  const auto store_tail = [&] {
    return private_store_.Update([&](PrivateBlock& block) { block.tail = target; });
  };
  if (Mutated(Mutant::kTailBeforeHome)) MIRDAX_TRY(store_tail());
  try {
    MIRDAX_TRY(home_.Persist());
  } catch (const std::bad_alloc&) {
    return Fail(ErrorCode::kNoMemory);
  }
  if (!Mutated(Mutant::kTailNotStored)) MIRDAX_TRY(store_tail());
  MutexLock lock(mutex_);
  tail_ = target;
  return {};
}

Status JournalledTransactions::Checkpoint(bool wait) {
  TakeLead();
  Lsn target = 0;
  Status done;
  {
    MutexLock lock(mutex_);
    target = commit_;
    if (shut_down()) done = Fail(WhyDown());
  }
  if (done) done = CheckpointHere();
  if (done) sink_.RequestApply(target);
  if (done && wait) {
    done = WaitForMirrors(target, [&] { return sink_.applied() >= target; });
  }
  Resign();
  NotifyStable();
  return done;
}

Status JournalledTransactions::WaitForSpace(uint64_t bytes) {
  const auto enough = [&] {
    MutexLock lock(mutex_);
    const uint64_t wanted = bytes == 0 ? 0 : RunningBytes() + bytes;
    return UsedBytes() + wanted <= geometry_.journal.length;
  };
  if (enough()) return {};
  MIRDAX_TRY(CheckpointHere());
  Lsn target = 0;
  {
    MutexLock lock(mutex_);
    target = commit_;
  }
  Status done = WaitForMirrors(target, enough);
  NotifyStable();
  return done;
}

Status JournalledTransactions::WaitForMirrors(Lsn lsn, const std::function<bool()>& done) {
  using SteadyClock = std::chrono::steady_clock;
  auto since = SteadyClock::now();  // applied() is what it is
  auto next_ping = since + kPingInterval;
  auto poll = std::chrono::duration_cast<std::chrono::microseconds>(kFirstPoll);
  Lsn seen = sink_.applied();
  sink_.RequestApply(lsn);
  while (!done()) {
    const auto now = SteadyClock::now();
    if (const Lsn applied = sink_.applied(); applied != seen) {
      seen = applied;
      since = now;
    }
    if (now >= next_ping) {
      if (Status alive = PingMirrors(lsn, now - since); !alive) {
        ShutDown(alive.error());
        return alive;
      }
      sink_.RequestApply(lsn);
      next_ping = SteadyClock::now() + kPingInterval;
    }
    std::this_thread::sleep_for(poll);
    poll = std::min<std::chrono::microseconds>(poll * 2, kLastPoll);
  }
  return {};
}

// With no commit under way nobody would notice a frozen mirror: an empty batch makes the sink wait
// for each of them, and take out those that miss its deadline; then those that only lag.
Status JournalledTransactions::PingMirrors(Lsn lsn, std::chrono::nanoseconds stuck) {
  Lsn commit = 0;
  {
    MutexLock lock(mutex_);
    if (shut_down()) return Fail(WhyDown());
    commit = commit_;
  }
  sink_.Post({.data = {}, .from = commit, .to = commit});
  MIRDAX_TRY(sink_.Wait());
  return sink_.DropLaggards(lsn, stuck);
}

// --- state ---

uint64_t JournalledTransactions::CreditBytes(uint32_t credits) const noexcept {
  // An operation that names more than a record can hold still runs, alone.
  const uint64_t most = geometry_.journal.length / 2 - RecordBuilder::kOverhead;
  return std::min(credits * kBytesPerCredit, most);
}

uint64_t JournalledTransactions::RunningBytes() const {
  return overlay_.dirty_lines() * RecordBuilder::kBytesPerLine + credited_ +
         RecordBuilder::kOverhead;
}

Lsn JournalledTransactions::StableLsn() const {
  // applied() comes from peers: no value of it may lead beyond what is stable here (R2).
  return std::min(tail_, sink_.applied());
}

uint64_t JournalledTransactions::UsedBytes() const {
  return end_ - (Mutated(Mutant::kRingOverMirrorTail) ? tail_ : StableLsn());
}

void JournalledTransactions::OnStable(std::function<void(TxId)> callback) {
  MutexLock lock(stable_mutex_);
  on_stable_ = std::move(callback);
}

void JournalledTransactions::NotifyStable() {
  MutexLock one_at_a_time(stable_mutex_);
  TxId id = 0;
  {
    MutexLock lock(mutex_);
    Lsn stable = Mutated(Mutant::kReuseAtCommit) ? commit_ : StableLsn();
    if (Mutated(Mutant::kReuseOverMirrorTail)) stable = tail_;
    while (!unstable_.empty() && unstable_.front().second <= stable) {
      id = unstable_.front().first;
      unstable_.pop_front();
    }
  }
  if (id != 0 && on_stable_) on_stable_(id);
}

Error JournalledTransactions::WhyDown() const { return down_; }

void JournalledTransactions::ShutDown(const Error& why) {
  MutexLock lock(mutex_);
  if (shut_down()) return;
  try {
    down_.message =
        fmt::format("the filesystem stopped ({}: {})", ErrorCodeName(why.code), why.message);
  } catch (const std::bad_alloc&) {  // stopping is what counts
  }
  shut_down_.store(true, std::memory_order_release);
  led_.NotifyAll();
}

TransactionStats JournalledTransactions::stats() const {
  MutexLock lock(mutex_);
  const uint64_t used = std::min(UsedBytes(), geometry_.journal.length);
  // What is being closed is not dirty any more, and not committed yet.
  const bool newest_runs = closing_ || overlay_.dirty_lines() > 0;
  return {.commit = commit_,
          .tail = tail_,
          .journal_free = geometry_.journal.length - used,
          .committed = committed_,
          .newest = newest_runs ? running_ : running_ - 1,
          .commits = commits_};
}

}  // namespace mirdax
