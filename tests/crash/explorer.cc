// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/explorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/crash/current_case.h"
#include "tests/crash/in_flight.h"
#include "tests/crash/orders.h"
#include "tests/crash/subsets.h"

namespace mirdax::crash {
namespace {

uint64_t Now() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

uint64_t ImagesPerPoint(const ExploreOptions& options, const std::vector<CrashPoint>& points) {
  if (options.images_per_workload == 0) return options.images_per_point;
  const auto visited = static_cast<uint64_t>(std::ranges::count_if(
      points, [&](const CrashPoint& at) { return at.moment.begun >= options.first_operation; }));
  return std::min(options.images_per_point,
                  options.images_per_workload / std::max<uint64_t>(visited, 1) + 1);
}

bool Every(uint64_t n, uint64_t hash) { return n != 0 && hash / 7 % n == 0; }

}  // namespace

std::string CopyName(uint64_t copy) {
  if (copy == kPrimaryCopy) return "primary";
  return copy == kAllCopies ? "all" : fmt::format("{}", copy);
}

std::optional<uint64_t> FindCopy(std::string_view name) {
  for (const uint64_t copy : {kPrimaryCopy, kAllCopies})
    if (name == CopyName(copy)) return copy;
  for (uint64_t mirror = 0; mirror < kMaxMirrors; ++mirror)
    if (name == CopyName(mirror)) return mirror;
  return std::nullopt;
}

void DistinctImages::Add(Of copies, uint64_t hash) {
  MutexLock lock(mutex_);
  (copies == Of::kPrimaries ? of_primaries_ : of_mirrors_).insert(hash);
}

uint64_t DistinctImages::count(Of copies) const {
  MutexLock lock(mutex_);
  return (copies == Of::kPrimaries ? of_primaries_ : of_mirrors_).size();
}

void DistinctImages::AddInterleaving(const Workload& workload, uint64_t fingerprint) {
  Workload unscheduled = workload;
  unscheduled.schedule = 0;
  const uint64_t hash = std::hash<std::string>{}(PrintWorkload(unscheduled)) ^ fingerprint;
  MutexLock lock(mutex_);
  interleavings_.insert(hash);
}

uint64_t DistinctImages::interleavings() const {
  MutexLock lock(mutex_);
  return interleavings_.size();
}

ExploreStats& ExploreStats::operator+=(const ExploreStats& other) {
  workloads += other.workloads;
  points += other.points;
  exhausted += other.exhausted;
  set_cuts += other.set_cuts;
  shared_commits += other.shared_commits;
  record_ns += other.record_ns;
  replay_ns += other.replay_ns;
  set_ns += other.set_ns;
  check += other.check;
  return *this;
}

struct Explorer::Run {
  const Workload& workload;
  const ExploreOptions& options;
  const CopyLog& copy;
  Checker& checker;
  const uint64_t images_per_point;
  InFlight in_flight;
  size_t replayed = 0;  // events
  // Hash and moment of what was checked.
  std::unordered_set<uint64_t> checked;
};

std::optional<Failure> Explorer::ExplorePoint(Run& run, uint64_t point) {
  uint64_t begun = Now();
  const CrashPoint& at = run.copy.points[point];
  while (run.replayed < at.events) run.in_flight.Replay(run.copy.log[run.replayed++]);
  if (at.moment.begun < run.options.first_operation) return std::nullopt;
  if (run.options.point && *run.options.point != point) return std::nullopt;
  ++stats_.points;

  ImageRegion& region = run.copy.region;
  const std::vector<FlyingLine> lines = run.in_flight.Lines();
  const Subsets subsets(lines, run.options.seed * 1000003 + point);
  std::vector<uint64_t> numbers;
  if (run.options.subset) {
    numbers.push_back(*run.options.subset);
  } else {
    numbers = subsets.Choose(run.images_per_point);
    if (subsets.Exhausts(run.images_per_point)) ++stats_.exhausted;
  }
  for (const uint64_t number : numbers) {
    region.Begin();
    Land(region, lines, subsets.At(number));
    const uint64_t hash = region.Hash();
    const uint64_t moment = uint64_t{at.moment.begun} << 32 | at.moment.returned;
    const uint64_t open = at.moment.open * 0xbf58476d1ce4e5b9U;
    if (!run.checked.insert(hash ^ (moment * 0x9e3779b97f4a7c15U) ^ open).second) {
      region.Undo();
      continue;
    }
    CheckDepth depth{.unmount = Every(run.options.unmount_every, hash),
                     .seed = run.options.seed,
                     .takeover = {.serve = Every(run.options.serve_every, hash / 3),
                                  .may_refuse = at.may_refuse}};
    if (Every(run.options.recovery_every, hash)) depth.recovery = run.options.recovery_subsets;
    CurrentCase::SetImage(point, number, depth);
    stats_.replay_ns += Now() - begun;
    std::optional<std::string> bad = run.checker.Check(at.moment, depth);
    begun = Now();
    if (bad) {
      Failure failure{.workload = run.workload,
                      .point = point,
                      .subset = number,
                      .depth = depth,
                      .moment = at.moment,
                      .reason = std::move(*bad)};
      if (on_failure_) on_failure_(failure, region.memory());
      region.Undo();
      return failure;
    }
    region.Undo();
    const bool promoted = run.copy.takeover != nullptr;
    if (!run.checker.refused())
      distinct_.Add(promoted ? DistinctImages::Of::kMirrors : DistinctImages::Of::kPrimaries, hash);
  }
  stats_.replay_ns += Now() - begun;
  return std::nullopt;
}

std::optional<Failure> Explorer::Explore(const Workload& workload, const ExploreOptions& options) {
  const uint64_t begun = Now();
  ++stats_.workloads;
  if (workload.clients() != 0) {
    const Result<InterleavedRun> run = RecordClients(pool_, workload);
    stats_.record_ns += Now() - begun;
    if (run) return ExploreInterleaved(workload, *run, options);
    return FailedRun(workload, run.error());
  }
  const Result<Recording> recording = Record(pool_, workload);
  stats_.record_ns += Now() - begun;
  if (recording) return ExploreRecording(workload, *recording, options);
  return FailedRun(workload, recording.error());
}

Status Explorer::Explain(const Workload& workload, const InterleavedRun& run, Orders& orders) {
  const uint64_t begun = Now();
  stats_.shared_commits += run.shared_commits;
  distinct_.AddInterleaving(workload, run.interleaving);
  Status found = orders.Find();
  stats_.check.judge_ns += Now() - begun;
  return found;
}

std::optional<Failure> Explorer::ExploreInterleaved(const Workload& workload,
                                                    const InterleavedRun& run,
                                                    const ExploreOptions& options) {
  Orders orders(run);
  const Status found = Explain(workload, run, orders);
  if (!found) return FailedRun(workload, found.error());
  return ExploreCopy(workload, {pool_.region(), run.log, run.points}, orders, options);
}

Failure Explorer::FailedRun(const Workload& workload, const Error& why) {
  Failure failure{.workload = workload, .moment = {}, .reason = why.message};
  if (on_failure_) on_failure_(failure, pool_.region().memory());
  return failure;
}

std::optional<Failure> Explorer::ExploreRecording(const Workload& workload,
                                                  const Recording& recording,
                                                  const ExploreOptions& options) {
  return ExploreCopy(workload, {pool_.region(), recording.log, recording.Points()},
                     Oracle(recording.history), options);
}

std::optional<Failure> Explorer::ExploreMirror(const Workload& workload, const Recording& recording,
                                               const ExploreOptions& options, ImageRegion& region,
                                               const Takeover& takeover) {
  return ExploreCopy(workload, {region, recording.log, recording.Points(), &takeover},
                     Oracle(recording.history), options);
}

std::optional<Failure> Explorer::ExploreCopy(const Workload& workload, const CopyLog& copy,
                                             const LegalStates& legal,
                                             const ExploreOptions& options) {
  Checker checker(copy.region, legal, stats_.check, copy.takeover, copy.connect);
  Run run{.workload = workload,
          .options = options,
          .copy = copy,
          .checker = checker,
          .images_per_point = ImagesPerPoint(options, copy.points),
          .in_flight = InFlight(copy.region),
          .replayed = 0,
          .checked = {}};
  copy.region.Begin();
  std::optional<Failure> failure;
  for (uint64_t point = 0; point < copy.points.size() && !failure; ++point) {
    failure = ExplorePoint(run, point);
  }
  copy.region.Undo();
  CurrentCase::LeaveImages();
  return failure;
}

}  // namespace mirdax::crash
