// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/fault_run.h"

#include <algorithm>

#include "replicator/epochs.h"
#include "tests/crash/durable_private.h"
#include "tests/crash/fault_attempt.h"
#include "tests/crash/faulty_dialer.h"
#include "tests/crash/observation.h"
#include "tests/crash/seeds.h"
#include "tools/fsck/check.h"

namespace mirdax::crash {
namespace {

constexpr uint64_t kImagesAtTheFault = 4;
constexpr uint64_t kImagesAtAFailedDrain = 40;  // which leaves everything in flight
constexpr uint64_t kImagesAtTheEnd = 2;

std::vector<std::byte> CopyOf(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Status FaultRun::Try(Attempt& attempt) {
  State state;
  ShapedPool::Connect connect;
  if (set_ != nullptr) {
    ReplicaOptions options{.inline_limit = 256};
    // So that it allocates.
    if (attempt.faults.plan().kind == FaultKind::kMirrorMemory)
      options.apply = ApplyMoment::kAfterEachBatch;
    attempt.replicas.emplace(set_->mirrors(), options);
    attempt.replicas->set_faults(&attempt.faults);
    MIRDAX_TRY(attempt.replicas->Serve());
    connect = [&](MountedImage& primary) { return Connect(attempt, primary); };
  }
  MIRDAX_ASSIGN(attempt.mounted, pool_.Mount(&state, connect));
  attempt.always_synced = pool_.shape().sync_always;
  attempt.recording.history =
      History(std::move(state),
              attempt.always_synced ? History::Synced::kEverything : History::Synced::kNothing);
  attempt.volume.emplace(attempt.mounted->volume(), attempt.faults);
  attempt.executor.emplace(*attempt.volume);
  attempt.returns = returns_;
  if (returns_) {
    MIRDAX_TRY(Restart(attempt, set_->mirrors().size() - 1));
    attempt.replicas->set_between_slices([this, &attempt] { BetweenSlices(attempt); });
    // Some workloads run in the middle of the fill.
    if (SeedOf(0, PrintWorkload(attempt.workload)) % 2 == 0) MIRDAX_TRY(Return(attempt));
  }
  while (attempt.next < attempt.workload.operations.size()) {
    MIRDAX_TRY(DoNext(attempt));
    MIRDAX_TRY(Return(attempt));
    // All others fail, or have nothing to do.
    if (attempt.poisoned() && attempt.outcome.stopped) break;
  }
  attempt.faults.Lift();
  return {};
}

Result<std::unique_ptr<ReplicationSink>> FaultRun::Connect(Attempt& attempt,
                                                           MountedImage& primary) {
  attempt.replicas->set_dialer_seam([&](std::unique_ptr<MirrorDialer> real) {
    return MakeFaultyDialer(std::move(real), attempt.faults);
  });
  MIRDAX_ASSIGN(auto sink, attempt.replicas->Connect(primary));
  attempt.replication = sink.get();
  return std::unique_ptr<ReplicationSink>(std::move(sink));
}

Status FaultRun::Restart(Attempt& attempt, size_t mirror) {
  attempt.replicas->Stop(mirror);
  return attempt.replicas->Serve();
}

Status FaultRun::DoNext(Attempt& attempt) {
  const bool struck_before = attempt.outcome.operation != 0;
  MIRDAX_TRY(attempt.Do(attempt.workload.operations[attempt.next++], pool_.shape().scarce()));
  return struck_before || attempt.outcome.operation == 0 ? Status() : CheckMirrors(attempt);
}

// What happens meanwhile, besides operations, counts as the last operation's.
Status FaultRun::Return(Attempt& attempt) {
  if (!attempt.returns) return {};
  const bool struck_before = attempt.faults.strikes() != 0;
  attempt.returning = true;
  {
    const Faults::Work work(attempt.faults);
    attempt.replication->Rejoin();
  }
  attempt.returning = false;
  MIRDAX_TRY(attempt.meanwhile);
  if (!attempt.chances.empty()) attempt.chances.back() = attempt.faults.chances();
  if (struck_before || attempt.faults.strikes() == 0 || attempt.outcome.operation != 0) return {};
  attempt.outcome.operation = std::max(attempt.recording.history.size(), 1U);
  return CheckMirrors(attempt);
}

void FaultRun::BetweenSlices(Attempt& attempt) {
  if (!attempt.returning || !attempt.meanwhile ||
      attempt.next == attempt.workload.operations.size() ||
      (attempt.poisoned() && attempt.outcome.stopped))
    return;
  const Faults::Work pause(attempt.faults, false);
  attempt.meanwhile = DoNext(attempt);
}

// F5
Status FaultRun::CheckReturned(const Attempt& attempt) const {
  if (!attempt.returns || attempt.outcome.stopped || attempt.poisoned()) return {};
  for (size_t i = 0; i < set_->mirrors().size(); ++i) {
    if (const std::string why = attempt.replication->WhyOut(i); !why.empty())
      return Fail(ErrorCode::kCorrupt, "mirror {} does not come back: {}", i, why);
  }
  return {};
}

// F5
Status FaultRun::CheckMirrors(Attempt& attempt) {
  if (set_ == nullptr) return {};
  if (attempt.faults.plan().kind == FaultKind::kMirrorPoison)
    for (const auto& trap : attempt.traps) trap->Cure();
  const PrivateBlock list = attempt.mounted->private_store().Get();
  std::vector<EpochId> epochs;
  for (const EpochEntry& entry : HistoryOf(list)) epochs.push_back(entry.epoch);
  const Takeover takeover(std::move(epochs));
  const Oracle oracle(attempt.recording.history);
  const uint32_t now = attempt.recording.history.size();
  for (size_t i = 0; i < set_->mirrors().size(); ++i) {
    ImageRegion& region = *set_->mirrors()[i];
    MIRDAX_ASSIGN(const auto store, PrivateStore::Open(region));
    const bool listed = ListsInSync(list, store->Get());
    const MirrorStatus status = attempt.replication->StatusOf(i);
    if (status.state == "in-sync" ? !listed : status.reason.empty())
      return Fail(ErrorCode::kCorrupt, "mirror {}, {} the list, is {} after operation {}: '{}'", i,
                  listed ? "on" : "off", status.state, now, status.reason);
    Checker checker(region, oracle, stats_.check, &takeover);
    const Moment moment{now, listed ? now : 0};
    CheckDepth depth;
    depth.takeover.may_refuse = returns_ && !listed;  // in the middle of its fill
    if (const auto bad = checker.Check(moment, depth)) {
      attempt.outcome.image = CopyOf(region.memory());
      return Fail(ErrorCode::kCorrupt, "mirror {}, {} the list, promoted after operation {}: {}", i,
                  listed ? "on" : "off", now, *bad);
    }
  }
  return {};
}

// F4
Status FaultRun::Recover(Attempt& attempt) {
  const bool scarce = pool_.shape().scarce();
  // A mirror whose own medium failed takes nothing until its daemon is started anew.
  const FaultKind kind = attempt.faults.plan().kind;
  if (returns_ && (kind == FaultKind::kMirrorDrain || kind == FaultKind::kMirrorPoison)) {
    for (const auto& trap : attempt.traps) trap->Cure();
    for (size_t i = 0; i < set_->mirrors().size(); ++i) MIRDAX_TRY(Restart(attempt, i));
  }
  // Its daemon lives, and does as before.
  if (kind == FaultKind::kMirrorMemory) attempt.returns = true;
  std::vector<Operation> operations;
  const History& history = attempt.recording.history;
  State last = history.After(history.size());
  if (last.Apply({.kind = OpKind::kSyncAll}, 0)) return {};  // unmounted by the workload
  if (history.At(history.size()).kind == OpKind::kUnmount) {
    // Nothing but another attempt is left, and it must succeed.
    return attempt.Do({.kind = OpKind::kUnmount}, scarce);
  }
  for (const auto& [name, node] : history.After(history.size()).handles()) {
    operations.push_back({.kind = OpKind::kClose, .path = name});
  }
  if (attempt.outcome.stopped) {
    // Reads go on (Shows() has seen it); nothing else does.
    operations.assign(1, {.kind = OpKind::kSyncAll});
  } else {
    for (const char* line : {"create fault-probe 0600", "write fault-probe 10 5000 77",
                             "fsync fault-probe", "unlink fault-probe", "syncall", "tick"}) {
      MIRDAX_ASSIGN(Operation operation, ParseOperation(line));
      operations.push_back(std::move(operation));
    }
  }
  for (const Operation& operation : operations) {
    // What the volume had no room for is not there to be written to.
    MIRDAX_TRY(attempt.Do(operation, scarce));
    MIRDAX_TRY(Return(attempt));
  }
  MIRDAX_TRY(CheckReturned(attempt));
  if (attempt.outcome.stopped || attempt.poisoned()) return {};
  Volume& volume = attempt.mounted->volume();
  if (const uint64_t bytes = volume.GetStatus().pending_bytes; bytes != 0) {
    return Fail(ErrorCode::kCorrupt, "{} bytes are unsynced after everything was synced", bytes);
  }
  MIRDAX_ASSIGN(const Observation seen, Observe(volume));
  if (const auto leak = SpaceDiffers(seen)) return Fail(ErrorCode::kCorrupt, "{}", *leak);
  return attempt.Do({.kind = OpKind::kUnmount}, scarce);
}

// F6, of another mount, in a level of its own: all that was stored has reached the medium, but for
// what it refused.
Status FaultRun::MountRefused(Attempt& attempt) {
  const auto try_it = [&]() -> Status {
    MIRDAX_ASSIGN(const auto mounted, MountedImage::Open(pool_.region()));
    MIRDAX_TRY(mounted->Recover());
    MIRDAX_TRY(mounted->Mount(attempt.always_synced));
    Volume& volume = mounted->volume();
    // The first look finds what a kernel would find; nobody gets these bytes.
    MIRDAX_TRY(Observe(volume));
    MIRDAX_ASSIGN(const Observation seen, Observe(volume));
    const uint32_t last = attempt.recording.history.size();
    const auto bad = Oracle(attempt.recording.history).Judge(seen, {last, last});
    if (bad && !volume.GetStatus().shut_down) return Fail(ErrorCode::kInvalid, "{}", *bad);
    MIRDAX_TRY(volume.MakeDirectory(kRootIno, "fault-probe", 0755, {}));
    return volume.SyncAll();
  };
  const Status tried = try_it();
  if (tried || tried.error().code == ErrorCode::kNoSpace ||
      tried.error().code == ErrorCode::kExists)
    return {};
  const bool clear = ToErrno(tried.error().code) == EIO && !tried.error().message.empty();
  if (clear || tried.error().code == ErrorCode::kShutdown) return {};
  return Fail(ErrorCode::kCorrupt, "mounted on a medium that refuses bytes: {} ({})",
              ErrorCodeName(tried.error().code), tried.error().message);
}

// F3, and what a failed sync left must have become durable (F4).
Status FaultRun::CheckCuts(Attempt& attempt, const Workload& workload) {
  Explorer explorer(pool_, images_, stats_, [&](const Failure&, std::span<const std::byte> image) {
    attempt.outcome.image = CopyOf(image);
  });
  const std::vector<CrashPoint> points = attempt.recording.Points();
  const auto check = [&](uint32_t operation, uint64_t images) -> Status {
    ExploreOptions options;
    options.images_per_point = images;
    options.recovery_every = 0;
    options.unmount_every = 4;
    // The moment of its return; then, where mirrors return, all until the next one begins.
    for (size_t i = 0; i < points.size(); ++i) {
      if (points[i].moment != Moment{operation, operation}) continue;
      options.point = i;
      const auto failure = explorer.ExploreRecording(workload, attempt.recording, options);
      if (failure)
        return Fail(ErrorCode::kCorrupt, "after a power cut behind operation {}, subset {}: {}",
                    operation, failure->subset, failure->reason);
      if (!returns_) break;
    }
    return {};
  };
  const bool drain = attempt.faults.plan().kind == FaultKind::kDrain;
  MIRDAX_TRY(check(attempt.outcome.operation, drain ? kImagesAtAFailedDrain : kImagesAtTheFault));
  return check(attempt.recording.history.size(), kImagesAtTheEnd);
}

// Prepares and takes back the seams through which faults strike.
class FaultRun::Seams {
 public:
  Seams(ShapedPool& pool, MirroredPool* set, Faults& faults) : pool_(pool), set_(set) {
    pool_.set_faults(&faults);
    pool_.region().Begin();
    for (size_t i = 0; set_ != nullptr && i < set_->mirrors().size(); ++i) {
      set_->mirrors()[i]->Begin();
      set_->mirrors()[i]->FailDrainsIf(
          [&faults] { return faults.Strikes(FaultKind::kMirrorDrain); });
    }
    pool_.region().FailDrainsIf([&faults] { return faults.Strikes(FaultKind::kDrain); });
  }
  ~Seams() {
    for (size_t i = 0; set_ != nullptr && i < set_->mirrors().size(); ++i) {
      set_->mirrors()[i]->FailDrainsIf(nullptr);
      set_->mirrors()[i]->Undo();
    }
    pool_.region().FailDrainsIf(nullptr);
    pool_.region().Undo();
    pool_.set_faults(nullptr);
  }
  Seams(const Seams&) = delete;
  Seams& operator=(const Seams&) = delete;

 private:
  ShapedPool& pool_;
  MirroredPool* const set_;
};

// The part of a run before the last crash images.
Status FaultRun::Live(Attempt& attempt) {
  const Seams seams(pool_, set_, attempt.faults);
  attempt.SetTraps(pool_, set_);
  ImageRegion& region = pool_.region();
  region.StartLog();
  Status done = Try(attempt);
  FaultOutcome& outcome = attempt.outcome;
  outcome.chances = attempt.faults.chances();
  outcome.strikes = attempt.faults.strikes();
  if (done && outcome.strikes != 0) done = Recover(attempt);
  if (done && outcome.strikes != 0) done = CheckMirrors(attempt);
  if (done && outcome.strikes != 0 && !outcome.stopped && !attempt.poisoned()) {
    fsck::CheckOptions options;
    options.paths = false;
    const auto report = fsck::CheckPool(region, options);
    if (!report || !report->clean() || attempt.mounted->private_store().Get().clean != 1) {
      done = Fail(ErrorCode::kCorrupt, "the pool is not clean after the unmount");
    }
  }
  attempt.Unmount();
  attempt.recording.log = region.TakeLog();
  if (done && attempt.poisoned()) {
    region.Begin();
    for (const auto& trap : attempt.traps) trap->RefuseAgain();
    done = MountRefused(attempt);
    region.Undo();
  }
  attempt.traps.clear();
  if (!done && outcome.image.empty()) outcome.image = CopyOf(region.memory());
  return done;
}

FaultOutcome FaultRun::Run(const Workload& workload, const FaultPlan& plan) {
  Attempt attempt(workload, plan);
  attempt.region = &pool_.region();
  Status done = Live(attempt);
  if (done && attempt.outcome.strikes != 0) done = CheckCuts(attempt, workload);
  if (!done) attempt.outcome.violation = done.error().message;
  return attempt.outcome;
}

Result<std::vector<uint64_t>> FaultRun::CountChances(const Workload& workload, FaultKind kind) {
  Attempt attempt(workload, {.kind = kind, .at = ~uint64_t{0}, .lasting = false});
  attempt.region = &pool_.region();
  const Seams seams(pool_, set_, attempt.faults);
  attempt.SetTraps(pool_, set_);
  const Status done = Try(attempt);
  attempt.Unmount();
  attempt.traps.clear();
  MIRDAX_TRY(done);
  return std::move(attempt.chances);
}

}  // namespace mirdax::crash
