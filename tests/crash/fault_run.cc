// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/fault_run.h"

#include <algorithm>

#include "replicator/epochs.h"
#include "tests/crash/durable_private.h"
#include "tests/crash/faulty_dialer.h"
#include "tests/crash/manual_pages.h"
#include "tests/crash/observation.h"
#include "tests/crash/poison_trap.h"
#include "tests/crash/replica_set.h"
#include "tests/crash/working_volume.h"
#include "tools/fsck/check.h"

namespace mirdax::crash {
namespace {

constexpr uint64_t kImagesAtTheFault = 4;
constexpr uint64_t kImagesAtAFailedDrain = 40;  // which leaves everything in flight
constexpr uint64_t kImagesAtTheEnd = 2;

std::string_view CodeName(const std::optional<ErrorCode>& code) {
  return code ? ErrorCodeName(*code) : "success";
}

std::vector<std::byte> CopyOf(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

// An operation of several calls, the last of which may fail after the others did all there was to
// do.
bool MayBeDoneAndFail(const Operation& operation, bool always_synced) {
  return always_synced || operation.flag == OpFlag::kSync || operation.kind == OpKind::kAppend;
}

}  // namespace

struct FaultRun::Attempt {
  explicit Attempt(const Workload& workload_, const FaultPlan& plan)
      : workload(workload_), faults(plan) {}

  // Does one more operation, and compares answer and state with the model (F1, F2).
  Status Do(Operation operation, bool scarce);
  Status Shows(const State& state, std::string_view when);
  // After a poison has struck: an error, where it is needed; else what Shows() wants.
  Status ShowsUnlessRefused(const State& state, std::string_view when);
  bool poisoned() const {
    return faults.plan().kind == FaultKind::kPoison && outcome.operation != 0;
  }
  // The pages of these can be refused. To be taken away before the regions' levels end.
  void SetTraps(ShapedPool& pool, MirroredPool* set);
  // As a power cut would find it.
  void Unmount() {
    executor.reset();
    volume.reset();
    mounted.reset();
    replicas.reset();
  }

  const Workload& workload;
  Faults faults;
  FaultOutcome outcome;
  bool always_synced = false;
  std::optional<ReplicaSet> replicas;
  std::unique_ptr<MountedImage> mounted;
  std::optional<WorkingVolume> volume;
  std::optional<Executor> executor;
  ImageRegion* region = nullptr;
  std::vector<std::unique_ptr<PoisonTrap>> traps;
  Recording recording{.history = History(State()), .log = {}, .spans = {}};
  std::vector<uint64_t> chances;  // by operation
};

Status FaultRun::Attempt::Shows(const State& state, std::string_view when) {
  MIRDAX_ASSIGN(const Observation seen, Observe(mounted->volume()));
  if (const auto different = Differs(seen, state)) {
    return Fail(ErrorCode::kCorrupt, "{} the volume shows something else: {}", when, *different);
  }
  // Files without a name are seen by those who have them open.
  for (const auto& [handle, node] : state.handles()) {
    if (!state.At(node).IsFile()) continue;
    std::string bytes;
    MIRDAX_TRY(mounted->volume().Read(executor->InoOf(handle), 0, kMaxFileSize,
                                      [&bytes](std::span<const std::span<const std::byte>> spans) {
                                        for (const auto span : spans)
                                          bytes.append(reinterpret_cast<const char*>(span.data()),
                                                       span.size());
                                      }));
    if (bytes != state.At(node).data->bytes()) {
      return Fail(ErrorCode::kCorrupt, "{} {} shows something else", when, handle);
    }
  }
  return {};
}

Status FaultRun::Attempt::ShowsUnlessRefused(const State& state, std::string_view when) {
  if (!poisoned()) return Shows(state, when);
  // What is stopped shows what it will, but none of it is there after the next mount.
  if (outcome.stopped) return {};
  Status shown = Shows(state, when);
  if (!shown && shown.error().code == ErrorCode::kIo) return {};
  return shown;
}

void FaultRun::Attempt::SetTraps(ShapedPool& pool, MirroredPool* set) {
  if (faults.plan().kind == FaultKind::kPoison)
    traps.push_back(std::make_unique<PoisonTrap>(pool.region(), faults));
  for (size_t i = 0; faults.plan().kind == FaultKind::kMirrorPoison && set != nullptr &&
                     i < set->mirrors().size();
       ++i)
    traps.push_back(std::make_unique<PoisonTrap>(*set->mirrors()[i], faults));
  if (traps.empty()) return;
  faults.OnWork([this](bool busy) {
    for (const auto& trap : traps) {
      if (busy)
        trap->Arm();
      else
        trap->Disarm();
    }
  });
}

Status FaultRun::Attempt::Do(Operation operation, bool scarce) {
  History& history = recording.history;
  const uint32_t index = history.size() + 1;
  const auto wrong = [&](std::string_view what) {
    return Fail(ErrorCode::kCorrupt, "operation {} ({}) {}", index, PrintOperation(operation),
                what);
  };
  mounted->clock().Set(SecondsAt(index));
  const size_t begin = region->log_size();
  const uint64_t strikes_before = faults.strikes();
  const Result<uint64_t> answer = executor->Do(operation);
  const bool struck = faults.strikes() != strikes_before;
  recording.spans.push_back({begin, region->log_size()});
  chances.push_back(faults.chances());
  if (struck && outcome.operation == 0) outcome.operation = index;
  if (struck && !answer) outcome.failed = true;

  if (answer && *answer < operation.length && (scarce || struck) && StoresBytes(operation.kind)) {
    operation.length = *answer;  // space ran out
  }
  State after = history.After(index - 1);
  const std::optional<ErrorCode> wanted = after.Apply(operation, index);
  std::optional<ErrorCode> answered;
  if (!answer) answered = answer.error().code;

  const bool stopped = mounted->volume().GetStatus().shut_down;
  if (struck && !answer && IsOfMirrors(faults.plan().kind)) {
    return wrong(fmt::format("failed of what happened to a mirror: {}", answer.error().message));
  }
  if (stopped && !outcome.stopped && faults.plan().kind != FaultKind::kDrain &&
      faults.plan().kind != FaultKind::kPoison) {
    return wrong(fmt::format("stopped the filesystem: {}", answer ? "" : answer.error().message));
  }
  outcome.stopped = stopped;

  if (answered == wanted) {
    // Once the filesystem has stopped, -o sync makes nothing durable; a sync that succeeds says so.
    const bool synced = !stopped || ScopeOf(operation) != SyncScope::kNothing;
    (void)history.Add(operation, answer.has_value(), SecondsAt(index), synced);
    if (outcome.operation == 0) return {};
    return ShowsUnlessRefused(history.After(index), fmt::format("after operation {} ({})", index,
                                                                PrintOperation(operation)));
  }
  const bool excused = (scarce && answered == ErrorCode::kNoSpace) ||
                       (stopped && answered == ErrorCode::kShutdown) || struck || poisoned();
  if (!excused || !answered) {
    return wrong(fmt::format("answered {} ({}), the model says {}", CodeName(answered),
                             answer ? "" : answer.error().message, CodeName(wanted)));
  }
  Operation failed = operation;
  if (volume->looked_up_last()) failed.kind = OpKind::kOpen;
  if (!MayFailWith(failed, *answered)) {
    return wrong(fmt::format("failed with {} ({}), which its manual page does not have",
                             CodeName(answered), answer.error().message));
  }
  // What stops cannot be asked whether all but the sync was done: then it may be there, or not.
  const bool opens = operation.kind == OpKind::kOpen || operation.kind == OpKind::kTmpfile;
  if (poisoned() && stopped && !wanted && !opens && MayBeDoneAndFail(operation, always_synced)) {
    (void)history.Add(operation, true, SecondsAt(index), false);
    return {};
  }
  // It failed of the fault: nothing has changed, or all but a sync was done.
  const Status unchanged = ShowsUnlessRefused(history.After(index - 1), "after it failed");
  if (!unchanged && !wanted && MayBeDoneAndFail(operation, always_synced)) {
    if (ShowsUnlessRefused(after, "")) {
      (void)history.Add(operation, true, SecondsAt(index), false);
      return {};
    }
  }
  if (!unchanged) {
    return wrong(fmt::format("failed with {} ({}), and {}", CodeName(answered),
                             answer.error().message, unchanged.error().message));
  }
  (void)history.Add(operation, false);
  return {};
}

Status FaultRun::Try(Attempt& attempt) {
  State state;
  ShapedPool::Connect connect;
  if (set_ != nullptr) {
    attempt.replicas.emplace(set_->mirrors(), ReplicaOptions{.inline_limit = 256});
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
  for (const Operation& operation : attempt.workload.operations) {
    const bool struck_before = attempt.outcome.operation != 0;
    MIRDAX_TRY(attempt.Do(operation, pool_.shape().scarce()));
    if (!struck_before && attempt.outcome.operation != 0) MIRDAX_TRY(CheckMirrors(attempt));
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
  return std::unique_ptr<ReplicationSink>(std::move(sink));
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
    Checker checker(region, oracle, stats_.check, &takeover);
    const Moment moment{now, listed ? now : 0};
    if (const auto bad = checker.Check(moment, {})) {
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
  }
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
    const auto at = std::ranges::find_if(points, [&](const CrashPoint& point) {
      return point.moment == Moment{operation, operation};
    });
    options.point = static_cast<uint64_t>(at - points.begin());
    const auto failure = explorer.ExploreRecording(workload, attempt.recording, options);
    if (!failure) return {};
    return Fail(ErrorCode::kCorrupt, "after a power cut behind operation {}, subset {}: {}",
                operation, failure->subset, failure->reason);
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
