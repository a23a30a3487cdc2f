// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/set_recording.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "fs/pmem/private_store.h"
#include "replicator/epochs.h"
#include "tests/crash/durable_private.h"
#include "tests/crash/seeds.h"
#include "tools/ctl/promote.h"

namespace mirdax::crash {
namespace {

constexpr std::string_view kNames[] = {"steady", "lazy", "lost", "back", "returns", "fenced"};

// Which operation the scenario meets, and how.
struct Plan {
  ReplicaOptions replicas;
  size_t operation = 0;                // index; before it begins
  size_t deliveries = 0;               // that still happen then
  bool freezes = false;                // the mirror falls silent, instead of breaking off
  std::optional<size_t> return_after;  // index of an operation
  uint64_t busy = 0;                   // bits 2i, 2i + 1: how busy it is after the fill's slice i
};

bool HasHandles(const Workload& workload) {
  return std::ranges::any_of(workload.operations, [](const Operation& operation) {
    return operation.path.starts_with('@') || operation.kind == OpKind::kOpen ||
           operation.kind == OpKind::kTmpfile || operation.kind == OpKind::kUnmount;
  });
}

bool Unmounts(const Workload& workload) {
  return std::ranges::any_of(workload.operations, [](const Operation& operation) {
    return operation.kind == OpKind::kUnmount;
  });
}

std::mt19937_64 RandomOf(const Workload& workload, uint64_t seed) {
  return std::mt19937_64(SeedOf(seed, PrintWorkload(workload)));
}

ReplicaOptions MakeReplicas(std::mt19937_64& random, Scenario scenario, uint64_t seed) {
  constexpr size_t kInlineLimits[] = {0, 256, 16384};
  constexpr ApplyMoment kApplies[] = {ApplyMoment::kWhenSpaceWaits, ApplyMoment::kAfterEachBatch,
                                      ApplyMoment::kAtEachWrite};
  ReplicaOptions options{.seed = seed,
                         .inline_limit = kInlineLimits[random() % std::size(kInlineLimits)],
                         .apply = kApplies[random() % std::size(kApplies)]};
  if (scenario == Scenario::kLazy) options.apply = ApplyMoment::kWhenSpaceWaits;
  return options;
}

// May add a sync to `workload`, before it is mounted again.
Plan MakePlan(Workload& workload, Scenario scenario, uint64_t seed) {
  std::mt19937_64 random = RandomOf(workload, seed);
  Plan plan;
  plan.replicas = MakeReplicas(random, scenario, seed);
  const size_t count = workload.operations.size();
  if (count == 0) return plan;
  plan.operation = random() % count;
  plan.deliveries = random() % 5;
  plan.freezes = random() % 3 == 0;
  if (scenario == Scenario::kFenced && HasHandles(workload)) plan.operation = count;
  if (scenario == Scenario::kBack && !HasHandles(workload)) {
    plan.return_after = plan.operation + 1 + random() % (count - plan.operation);
    workload.operations.insert(
        workload.operations.begin() + static_cast<ptrdiff_t>(*plan.return_after),
        Operation{.kind = OpKind::kSyncAll});
  }
  if (scenario == Scenario::kReturns && !Unmounts(workload)) {
    plan.return_after = plan.operation + random() % (count - plan.operation);
    plan.busy = random();
    plan.replicas.last_is_lazy = random() % 2 == 0;
  }
  return plan;
}

struct Ends {  // of the logs
  uint64_t sequence = 0;
  size_t primary = 0;
  std::vector<size_t> mirrors;
};

struct Step {
  Ends begin;
  Ends end;
};

struct Timeline {
  std::vector<Step> operations;
  std::optional<Step> fill;  // of the mirror that was lost
};

// Possible on every volume, however full.
Operation ChangeRoot(uint32_t mode) { return {.kind = OpKind::kChmod, .path = "/", .mode = mode}; }

// A run in the making.
class Run {
 public:
  Run(MirroredPool& set, Scenario scenario, const Plan& plan, Timeline& timeline)
      : set_(set),
        scenario_(scenario),
        plan_(plan),
        timeline_(timeline),
        replicas_(set.mirrors(), plan.replicas) {
    replicas_.set_between_slices([this] { BetweenSlices(); });
  }

  Result<SetRecording> Do(const Workload& workload);

 private:
  bool sync_always() const { return set_.primary().shape().sync_always; }
  Ends Now() const;
  Result<std::unique_ptr<ReplicationSink>> Connect(MountedImage& primary);
  Status DoAll();
  Status DoNext();
  void Disturb(size_t index);
  Status CheckMirrors() const;
  Status BringBack();
  Status RestartSecond();
  Status Remount();
  Status Rejoin();
  void BetweenSlices();
  Status Fence();
  Status PromoteFirst(std::unique_ptr<MountedImage>& promoted);
  bool DoUnacknowledged(const Operation& operation);
  Status CheckStale();

  MirroredPool& set_;
  const Scenario scenario_;
  const Plan plan_;
  Timeline& timeline_;
  ReplicaSet replicas_;
  std::unique_ptr<MountedImage> mounted_;
  std::unique_ptr<Executor> executor_;
  ReplicaSet::Replication* replication_ = nullptr;  // mounted_ owns it
  std::optional<History> history_;
  std::vector<Operation> operations_;
  size_t next_ = 0;  // index of an operation
  bool rejoining_ = false;
  size_t slices_ = 0;
  Status meanwhile_;  // of the operations in the middle of a fill
};

Ends Run::Now() const {
  Ends ends{set_.primary().region().sequence(), set_.primary().region().log_size(), {}};
  for (const auto& mirror : set_.mirrors()) ends.mirrors.push_back(mirror->log_size());
  return ends;
}

Result<std::unique_ptr<ReplicationSink>> Run::Connect(MountedImage& primary) {
  MIRDAX_ASSIGN(auto connected, replicas_.Connect(primary));
  replication_ = connected.get();
  return std::unique_ptr<ReplicationSink>(std::move(connected));
}

void Run::Disturb(size_t index) {
  if (index != plan_.operation) return;
  if (MirrorsOf(scenario_) == 1 || scenario_ == Scenario::kFenced) return;
  sim::SimNode& node = replicas_.node(1);
  if (plan_.freezes) {
    node.set_frozen(true);
  } else {
    node.CutAfter(plan_.deliveries);
  }
}

// S1
Status Run::CheckMirrors() const {
  const bool all = MirrorsOf(scenario_) == 1 || timeline_.fill;
  const size_t sound = all ? set_.mirrors().size() : 1;
  for (size_t i = 0; i < sound; ++i) {
    if (const std::string why = replication_->WhyOut(i); !why.empty())
      return Fail(ErrorCode::kCorrupt, "mirror {} left the in-sync list: {}", i, why);
  }
  return {};
}

Status Run::BringBack() {
  Step step{.begin = Now(), .end = {}};
  MIRDAX_TRY(scenario_ == Scenario::kBack ? Remount() : Rejoin());
  step.end = Now();
  timeline_.fill = std::move(step);
  return CheckMirrors();
}

Status Run::RestartSecond() {
  replicas_.node(1).CutAfter(SIZE_MAX);
  replicas_.node(1).set_cut(false);
  replicas_.node(1).set_frozen(false);
  replicas_.Stop(1);
  return replicas_.Serve();
}

Status Run::Rejoin() {
  MIRDAX_TRY(RestartSecond());
  rejoining_ = true;
  replication_->Rejoin();
  rejoining_ = false;
  return meanwhile_;
}

void Run::BetweenSlices() {
  constexpr size_t kOperations[] = {0, 0, 1, 4};
  if (!rejoining_) return;
  size_t now = kOperations[plan_.busy >> (2 * (slices_++ % 32)) & 3];
  for (; now > 0 && meanwhile_ && next_ < operations_.size(); --now) meanwhile_ = DoNext();
}

Status Run::Remount() {
  executor_.reset();
  MIRDAX_TRY(mounted_->volume().Unmount());
  mounted_.reset();
  MIRDAX_TRY(replicas_.ApplyAll());
  MIRDAX_TRY(RestartSecond());
  MIRDAX_ASSIGN(mounted_, MountedImage::Open(set_.primary().region()));
  MIRDAX_TRY(mounted_->Recover());
  MIRDAX_ASSIGN(auto sink, Connect(*mounted_));
  MIRDAX_TRY(mounted_->Mount(std::move(sink), sync_always()));
  executor_ = std::make_unique<Executor>(mounted_->volume());
  return {};
}

Status Run::PromoteFirst(std::unique_ptr<MountedImage>& promoted) {
  replicas_.Stop(0);
  MIRDAX_ASSIGN(promoted, MountedImage::Open(*set_.mirrors()[0]));
  SeededRandom random(77);
  MIRDAX_TRY(
      ctl::Promote(promoted->pool(), promoted->private_store(), false, promoted->clock(), random));
  MIRDAX_ASSIGN(auto sink, replicas_.Connect(*promoted, 1));
  MIRDAX_TRY(promoted->Mount(std::move(sink)));
  Executor executor(promoted->volume());
  MIRDAX_TRY(executor.Do(ChangeRoot(0701)));
  MIRDAX_TRY(executor.Do({.kind = OpKind::kSyncAll}));
  return replicas_.ApplyAll();  // so that only an old primary's bytes can come
}

// What is changed may be found after a crash, but nobody was told that it is durable.
bool Run::DoUnacknowledged(const Operation& operation) {
  Step step{.begin = Now(), .end = {}};
  const int64_t seconds = SecondsAt(history_->size() + 1);
  mounted_->clock().Set(seconds);
  const bool done = executor_->Do(operation).has_value();
  (void)history_->Add(operation, true, seconds, false);
  step.end = Now();
  timeline_.operations.push_back(std::move(step));
  return done;
}

// S3
Status Run::CheckStale() {
  const bool changed = DoUnacknowledged(ChangeRoot(0702));
  if (DoUnacknowledged({.kind = OpKind::kSyncAll}) || (changed && sync_always()))
    return Fail(ErrorCode::kCorrupt, "a primary acknowledges a sync after its mirror was promoted");
  replication_->Rejoin();
  executor_.reset();
  mounted_.reset();
  MIRDAX_ASSIGN(mounted_, MountedImage::Open(set_.primary().region()));
  MIRDAX_TRY(mounted_->Recover());
  const auto again = replicas_.Connect(*mounted_, 1, true);
  if (again)
    return Fail(ErrorCode::kCorrupt, "the mirror of a promoted copy lets its old primary in");
  if (again.error().code != ErrorCode::kStale)
    return Fail(ErrorCode::kCorrupt, "an old primary is refused, but not for its epoch: {}",
                again.error().message);
  return {};
}

Status Run::Fence() {
  std::unique_ptr<MountedImage> promoted;
  MIRDAX_TRY(PromoteFirst(promoted));
  const uint64_t first = set_.mirrors()[0]->Hash();
  const uint64_t second = set_.mirrors()[1]->Hash();
  Status judged = CheckStale();
  if (judged && (set_.mirrors()[0]->Hash() != first || set_.mirrors()[1]->Hash() != second))
    judged = Fail(ErrorCode::kCorrupt, "a primary changes a mirror that a promoted copy has");
  return judged;
}

Status Run::DoNext() {
  Disturb(next_);
  Step step{.begin = Now(), .end = {}};
  MIRDAX_TRY(DoStep(*mounted_, *executor_, *history_, operations_[next_++],
                    set_.primary().shape().scarce()));
  MIRDAX_TRY(CheckMirrors());
  step.end = Now();
  timeline_.operations.push_back(std::move(step));
  return {};
}

Status Run::DoAll() {
  while (next_ < operations_.size()) {
    if (scenario_ == Scenario::kFenced && next_ == plan_.operation) return Fence();
    MIRDAX_TRY(DoNext());
    if (plan_.return_after && next_ == *plan_.return_after + 1) MIRDAX_TRY(BringBack());
  }
  // What the mirrors do by themselves comes last.
  return replicas_.ApplyAll();
}

Result<SetRecording> Run::Do(const Workload& workload) {
  MIRDAX_TRY(replicas_.Serve());
  State state;
  MIRDAX_ASSIGN(mounted_, set_.primary().Mount(
                              &state, [this](MountedImage& image) { return Connect(image); }));
  history_.emplace(std::move(state),
                   sync_always() ? History::Synced::kEverything : History::Synced::kNothing);
  executor_ = std::make_unique<Executor>(mounted_->volume());
  operations_ = workload.operations;
  MIRDAX_TRY(DoAll());
  SetRecording recording{
      .workload = workload, .primary = {.history = *history_}, .mirrors = {}, .epochs = {}};
  for (const Step& step : timeline_.operations)
    recording.primary.spans.push_back(
        {step.begin.primary, step.end.primary, step.begin.sequence, step.end.sequence});
  if (scenario_ == Scenario::kFenced) return recording;
  const PrivateBlock block = mounted_->private_store().Get();
  for (const EpochEntry& entry : HistoryOf(block)) recording.epochs.push_back(entry.epoch);
  for (size_t i = 0; i < set_.mirrors().size(); ++i) {
    Recording& mirror = recording.mirrors.emplace_back(Recording{.history = *history_});
    mirror.log = set_.mirrors()[i]->TakeLog();
    mirror.posts = replicas_.TakePosts(i);
    for (const Step& step : timeline_.operations)
      mirror.spans.push_back(
          {step.begin.mirrors[i], step.end.mirrors[i], step.begin.sequence, step.end.sequence});
  }
  return recording;
}

// From when to when, during the fill, the mirror was not on the list that the primary durably had.
Status FindFill(MirroredPool& set, const Step& fill, const std::vector<RegionEvent>& primary_log,
                const PrivateBlock& copy, Recording& mirror) {
  DurablePrivate primary(set.primary().region(), primary_log);
  MIRDAX_ASSIGN(PrivateBlock block, primary.After(fill.begin.primary));
  bool listed = ListsInSync(block, copy);
  if (!listed) mirror.fill_begin = primary_log[fill.begin.primary - 1].sequence;
  for (size_t at = fill.begin.primary; at < fill.end.primary; ++at) {
    if (primary_log[at].kind != RegionEvent::Kind::kDrain) continue;
    MIRDAX_ASSIGN(block, primary.After(at + 1));
    if (std::exchange(listed, ListsInSync(block, copy)) == listed) continue;
    (listed ? mirror.fill_end : mirror.fill_begin) = primary_log[at].sequence;
  }
  if (!listed) mirror.fill_end = ~uint64_t{0};
  return {};
}

// What the durable lists say of a mirror when each operation has returned; S2.
Status FindLists(MirroredPool& set, size_t number, const Timeline& timeline,
                 const std::vector<RegionEvent>& primary_log, Recording& mirror) {
  DurablePrivate primary(set.primary().region(), primary_log);
  DurablePrivate copy(*set.mirrors()[number], mirror.log);
  for (const Step& step : timeline.operations) {
    MIRDAX_ASSIGN(const PrivateBlock list, primary.After(step.end.primary));
    MIRDAX_ASSIGN(const PrivateBlock block, copy.After(step.end.mirrors[number]));
    mirror.listed.push_back(ListsInSync(list, block));
    if (mirror.listed.back() && CurrentEpoch(list) != CurrentEpoch(block))
      return Fail(ErrorCode::kCorrupt,
                  "operation {} returned in epoch {}, and mirror {}, in sync, is durably in {}",
                  mirror.listed.size(), ToString(CurrentEpoch(list)), number,
                  ToString(CurrentEpoch(block)));
  }
  return {};
}

Status Complete(MirroredPool& set, size_t number, const Timeline& timeline,
                const std::vector<RegionEvent>& primary_log, Recording& mirror) {
  MIRDAX_TRY(FindLists(set, number, timeline, primary_log, mirror));
  if (!timeline.fill) return {};
  MIRDAX_ASSIGN(const PrivateBlock copy,
                DurablePrivate(*set.mirrors()[number], mirror.log).After(0));
  return FindFill(set, *timeline.fill, primary_log, copy, mirror);
}

}  // namespace

std::string_view NameOf(Scenario scenario) noexcept {
  return kNames[static_cast<size_t>(scenario)];
}

std::optional<Scenario> FindScenario(std::string_view name) noexcept {
  for (const Scenario scenario : kScenarios)
    if (NameOf(scenario) == name) return scenario;
  return std::nullopt;
}

size_t MirrorsOf(Scenario scenario) noexcept {
  return scenario == Scenario::kSteady || scenario == Scenario::kLazy ? 1 : 2;
}

ReplicaOptions ReplicasOf(const Workload& workload, Scenario scenario, uint64_t seed) {
  std::mt19937_64 random = RandomOf(workload, seed);
  return MakeReplicas(random, scenario, seed);
}

Result<SetRecording> RecordSet(MirroredPool& set, const Workload& workload, Scenario scenario,
                               uint64_t seed) {
  Workload ran = workload;
  const Plan plan = MakePlan(ran, scenario, seed);
  ImageRegion& primary = set.primary().region();
  uint64_t events = 0;
  const auto begin = [&](ImageRegion& region) {
    region.Begin();
    region.StartLog(&events);
  };
  const auto end = [](ImageRegion& region) {
    std::vector<RegionEvent> log = region.TakeLog();
    region.Undo();
    return log;
  };
  begin(primary);
  for (const auto& mirror : set.mirrors()) begin(*mirror);
  Timeline timeline;
  Result<SetRecording> recording = Run(set, scenario, plan, timeline).Do(ran);
  std::vector<RegionEvent> primary_log = end(primary);
  for (const auto& mirror : set.mirrors()) end(*mirror);
  if (!recording) return recording;
  for (size_t i = 0; i < recording->mirrors.size(); ++i)
    MIRDAX_TRY(Complete(set, i, timeline, primary_log, recording->mirrors[i]));
  recording->primary.log = std::move(primary_log);
  return recording;
}

}  // namespace mirdax::crash
