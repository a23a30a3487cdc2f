// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/mutant_hunt.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/crash/client_generator.h"
#include "tests/crash/fault_run.h"
#include "tests/crash/generator.h"
#include "tests/crash/tasks.h"

namespace mirdax::crash {
namespace {

constexpr unsigned kSchedules = 48;  // of a file with clients
constexpr size_t kMostText = 400;    // a workload is cut there

// Few images of every file, before many of one.
constexpr uint64_t kFewImages = 4;  // at a crash point
constexpr uint64_t kManyImages = 24;

ExploreOptions Images(uint64_t at_a_point) {
  ExploreOptions options;
  options.images_per_point = at_a_point;
  options.recovery_every = 8;
  return options;
}

// The run itself is judged, which takes a hundredth of the time.
ExploreOptions NoImages() {
  ExploreOptions options;
  options.point = ~uint64_t{0};  // there is no such point
  return options;
}

// Power cuts of all copies, at every crash point.
ExploreOptions WholeSets() {
  ExploreOptions options;
  options.copy = kAllCopies;
  options.set_every = 1;
  return options;
}

std::string OneLine(const Workload& workload) {
  std::string text = PrintWorkload(workload);
  std::ranges::replace(text, '\n', ';');
  if (text.size() > kMostText) text = text.substr(0, kMostText) + "...";
  return text;
}

}  // namespace

Result<HuntingGround> HuntingGround::Make(const std::string& folder) {
  HuntingGround ground;
  std::vector<Task> tasks;
  MIRDAX_TRY(ReadTasks(folder, tasks));
  std::vector<Workload> with_clients;
  for (const Task& task : tasks) {
    const Workload& workload = task.generated.workload;
    (workload.clients() == 0 ? ground.files : with_clients).push_back(workload);
  }
  std::ranges::stable_sort(ground.files, {},
                           [](const Workload& each) { return each.operations.size(); });
  for (unsigned i = 0; i < kSchedules; ++i) {
    for (Workload each : with_clients) {
      each.schedule += i;
      ground.clients.push_back(std::move(each));
    }
  }
  const auto add = [](std::vector<GeneratedWorkload> from, std::vector<Workload>& to) {
    for (GeneratedWorkload& each : from) to.push_back(std::move(each.workload));
  };
  for (const Shape& shape : Shapes())
    if (shape.has_names) add(Systematic(shape.name, 1), ground.generated);
  const std::string& plain = Shapes().front().name;
  add(Systematic(plain, 2), ground.generated);
  add(ClientPairs(plain, 1, 1), ground.clients);
  for (const Shape& shape : Shapes()) {
    Pools& pools = ground.pools[shape.name];
    MIRDAX_ASSIGN(pools.alone, ShapedPool::Build(shape));
    MIRDAX_ASSIGN(pools.with_one, MirroredPool::Build(shape, 1));
    MIRDAX_ASSIGN(pools.with_two, MirroredPool::Build(shape, 2));
  }
  return ground;
}

std::optional<Sighting> MutantHunt::Try(const Workload& workload, const ExploreOptions& options) {
  Explorer explorer(*ground_.pools.at(workload.shape).alone, distinct_, stats_, {});
  const std::optional<Failure> failure = explorer.Explore(workload, options);
  if (!failure) return std::nullopt;
  return Sighting{failure->reason, OneLine(failure->workload)};
}

std::optional<Sighting> MutantHunt::TrySet(const Workload& workload, Scenario scenario,
                                           const ExploreOptions& options) {
  HuntingGround::Pools& pools = ground_.pools.at(workload.shape);
  MirroredPool& set = MirrorsOf(scenario) == 1 ? *pools.with_one : *pools.with_two;
  SetExplorer explorer(set, scenario, distinct_, stats_, {});
  const std::optional<Failure> failure = explorer.Explore(workload, options);
  if (!failure) return std::nullopt;
  return Sighting{failure->reason,
                  fmt::format("--mirror {} --copy {}: {}", NameOf(scenario),
                              CopyName(failure->copy), OneLine(failure->workload))};
}

std::optional<Sighting> MutantHunt::Alone() {
  for (const uint64_t images : {kFewImages, kManyImages}) {
    for (const Workload& workload : ground_.files)
      if (auto seen = Try(workload, Images(images))) return seen;
  }
  for (const Workload& workload : ground_.generated)
    if (auto seen = Try(workload, Images(kManyImages))) return seen;
  return std::nullopt;
}

std::optional<Sighting> MutantHunt::WithClients() {
  ExploreOptions options;
  options.images_per_point = 8;  // there are many schedules
  options.recovery_every = 0;
  for (const Workload& workload : ground_.clients)
    if (auto seen = Try(workload, options)) return seen;
  return std::nullopt;
}

std::optional<Sighting> MutantHunt::WithMirrors(Scenario likely) {
  std::vector<Scenario> scenarios = {likely};
  std::ranges::remove_copy(kScenarios, std::back_inserter(scenarios), likely);
  for (const Scenario scenario : scenarios) {
    for (const ExploreOptions& options :
         {NoImages(), Images(kFewImages), WholeSets(), Images(kManyImages)}) {
      for (const Workload& workload : ground_.files)
        if (auto seen = TrySet(workload, scenario, options)) return seen;
    }
  }
  for (const Workload& workload : ground_.generated) {
    for (const Scenario scenario : scenarios)
      if (auto seen = TrySet(workload, scenario, Images(kManyImages))) return seen;
  }
  return std::nullopt;
}

std::optional<Sighting> MutantHunt::WithFaults(std::string_view rule) {
  std::vector<FaultKind> kinds(std::begin(kFaultKinds), std::end(kFaultKinds));
  if (rule == "F5") std::ranges::reverse(kinds);  // those of mirrors first
  const auto try_all = [&](const Workload& workload) -> std::optional<Sighting> {
    HuntingGround::Pools& pools = ground_.pools.at(workload.shape);
    FaultRun run =
        rule == "F5" ? FaultRun(*pools.with_two, stats_, true) : FaultRun(*pools.alone, stats_);
    for (const FaultKind kind : kinds) {
      if ((rule == "F6") != (kind == FaultKind::kPoison)) continue;
      if (kind == FaultKind::kMirrorPoison) continue;  // a medium that stays bad takes no fill
      const auto chances = run.CountChances(workload, kind);
      for (const bool lasting : {false, true}) {
        for (uint64_t at = 1; chances && at <= chances->back(); ++at) {
          const FaultPlan plan{.kind = kind, .at = at, .lasting = lasting};
          const FaultOutcome outcome = run.Run(workload, plan);
          ++faults_;
          if (outcome.violation.empty()) continue;
          return Sighting{outcome.violation,
                          fmt::format("fault {} of {}", PrintFault(plan), OneLine(workload))};
        }
      }
    }
    return std::nullopt;
  };
  for (const auto* workloads : {&ground_.files, &ground_.generated}) {
    for (const Workload& workload : *workloads)
      if (auto seen = try_all(workload)) return seen;
  }
  return std::nullopt;
}

std::string MutantHunt::Effort() const {
  return faults_ != 0 ? fmt::format("{} faults", faults_)
                      : fmt::format("{} images of {} runs", stats_.check.images, stats_.workloads);
}

}  // namespace mirdax::crash
