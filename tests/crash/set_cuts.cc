// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/set_cuts.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <random>
#include <utility>

#include "tests/crash/current_case.h"
#include "tests/crash/in_flight.h"
#include "tests/crash/remount.h"
#include "tests/crash/seeds.h"
#include "tests/crash/subsets.h"

namespace mirdax::crash {
namespace {

uint64_t Now() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

struct Instant {
  uint64_t sequence = 0;  // of the last event
  Moment moment;
};

// What had returned is exact, since a return is a crash point of the primary; what had begun is
// what had by its next one.
std::vector<Instant> InstantsOf(const std::vector<CopyLog>& copies) {
  std::vector<Instant> instants;
  for (const CopyLog& copy : copies) {
    for (const CrashPoint& point : copy.points) instants.push_back({point.sequence, {}});
  }
  std::ranges::sort(instants, {}, &Instant::sequence);
  const auto same = [](const Instant& a, const Instant& b) { return a.sequence == b.sequence; };
  instants.erase(std::unique(instants.begin(), instants.end(), same), instants.end());
  const std::vector<CrashPoint>& points = copies.front().points;
  size_t next = 0;
  for (Instant& instant : instants) {
    while (next < points.size() && points[next].sequence <= instant.sequence) ++next;
    if (next == 0) continue;  // nothing had begun
    instant.moment = points[next - 1].moment;
    if (next < points.size() && points[next - 1].sequence != instant.sequence)
      instant.moment.begun = points[next].moment.begun;
  }
  return instants;
}

struct Copy {
  explicit Copy(const CopyLog& of) : log(of), in_flight(of.region) {}

  void ReplayTo(uint64_t sequence) {
    while (replayed < log.log.size() && log.log[replayed].sequence <= sequence)
      in_flight.Replay(log.log[replayed++]);
  }
  void Land(uint64_t seed) {
    const std::vector<FlyingLine> lines = in_flight.Lines();
    const Subsets subsets(lines, seed);
    std::mt19937_64 random(seed);
    const uint64_t kind = random() % 4;  // none, all, and twice a part
    const uint64_t number = kind < 2 ? kind : random() % (2 * subsets.planned());
    crash::Land(log.region, lines, subsets.At(number));
  }

  const CopyLog& log;
  InFlight in_flight;
  size_t replayed = 0;
};

}  // namespace

struct SetCuts::Run {
  const Workload& workload;
  const ExploreOptions& options;
  const std::vector<Instant> instants;
  std::deque<Copy> copies;
  Remount remount;
};

std::optional<Failure> SetCuts::ExplorePoint(Run& run, uint64_t point) {
  const Instant& at = run.instants[point];
  for (Copy& copy : run.copies) copy.ReplayTo(at.sequence);
  const uint64_t seed = run.options.seed * 1000003 + point;
  ++stats_.set_cuts;
  CurrentCase::SetImage(point, seed, {});
  for (size_t i = 0; i < run.copies.size(); ++i) {
    run.copies[i].log.region.Begin();
    run.copies[i].Land((seed << 8) + i);
  }
  std::optional<Failure> failure;
  if (std::optional<std::string> bad = run.remount.Check(at.moment, seed)) {
    failure = {.workload = run.workload,
               .point = point,
               .subset = seed,
               .copy = kAllCopies,
               .moment = at.moment,
               .reason = std::move(*bad)};
    if (on_failure_) on_failure_(*failure, run.copies.front().log.region.memory());
  }
  for (Copy& copy : run.copies) copy.log.region.Undo();
  return failure;
}

std::optional<Failure> SetCuts::Explore(const Workload& workload,
                                        const std::vector<CopyLog>& copies,
                                        const LegalStates& legal, const Takeover& takeover,
                                        const ExploreOptions& options) {
  const uint64_t begun = Now();
  // Recorded apart: what the checks count as their own time is part of it.
  CheckStats stats;
  Run run{.workload = workload,
          .options = options,
          .instants = InstantsOf(copies),
          .copies = {copies.begin(), copies.end()},
          .remount = Remount(set_, legal, takeover, stats)};
  for (Copy& copy : run.copies) copy.log.region.Begin();
  // Not the same points of each workload.
  const uint64_t turn = SeedOf(0, PrintWorkload(workload));
  std::optional<Failure> failure;
  for (uint64_t point = 0; point < run.instants.size() && !failure; ++point) {
    if (run.instants[point].moment.begun < options.first_operation) continue;
    const bool chosen = options.point
                            ? *options.point == point
                            : options.set_every != 0 && (point + turn) % options.set_every == 0;
    if (chosen) failure = ExplorePoint(run, point);
  }
  for (Copy& copy : run.copies) copy.log.region.Undo();
  CurrentCase::LeaveImages();
  stats_.check.images += stats.images;
  stats_.set_ns += Now() - begun;
  return failure;
}

}  // namespace mirdax::crash
