// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/set_explorer.h"

#include <chrono>

#include "tests/crash/current_case.h"

namespace mirdax::crash {

namespace {

uint64_t Now() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

}  // namespace

std::optional<Failure> SetExplorer::Explore(const Workload& workload,
                                            const ExploreOptions& options) {
  ++stats_.workloads;
  SetCurrentCase(&workload, 0, 0);
  return workload.clients() == 0 ? ExploreOne(workload, options)
                                 : ExploreClients(workload, options);
}

Failure SetExplorer::FailedRun(const Workload& workload, const Error& why) {
  Failure failure{.workload = workload, .moment = {}, .reason = why.message};
  if (on_failure_) on_failure_(failure, set_.mirrors().front()->memory());
  return failure;
}

Explorer SetExplorer::ExplorerOf(size_t number, const Workload& workload,
                                 std::optional<Failure>& failure) {
  const auto report = [=, this, &failure, &workload](const Failure& of_mirror,
                                                     std::span<const std::byte> image) {
    failure = of_mirror;
    failure->workload = workload;  // as it was asked for: the scenario adds to it again
    failure->mirror = number;
    if (on_failure_) on_failure_(*failure, image);
  };
  return {set_.primary(), distinct_, stats_, report};
}

std::optional<Failure> SetExplorer::ExploreOne(const Workload& workload,
                                               const ExploreOptions& asked) {
  ExploreOptions options = asked;
  // Where one is lost, earlier crash points are not those of another workload.
  if (MirrorsOf(scenario_) != 1) options.first_operation = 0;
  const uint64_t begun = Now();
  const Result<SetRecording> recording = RecordSet(set_, workload, scenario_, options.seed);
  stats_.record_ns += Now() - begun;
  if (!recording) return FailedRun(workload, recording.error());
  const Takeover takeover(recording->epochs);
  std::optional<Failure> failure;
  for (size_t i = 0; i < recording->mirrors.size() && !failure; ++i) {
    if (options.mirror && *options.mirror != i) continue;
    ExplorerOf(i, workload, failure)
        .ExploreMirror(recording->workload, recording->mirrors[i], options, *set_.mirrors()[i],
                       takeover);
  }
  return failure;
}

std::optional<Failure> SetExplorer::ExploreClients(const Workload& workload,
                                                   const ExploreOptions& options) {
  const uint64_t begun = Now();
  const Result<InterleavedRun> run =
      RecordClients(set_, workload, ReplicasOf(workload, scenario_, options.seed));
  stats_.record_ns += Now() - begun;
  if (!run) return FailedRun(workload, run.error());
  const Takeover takeover(run->epochs);
  std::optional<Failure> failure;
  ExplorerOf(0, workload, failure)
      .ExploreMirror(workload, *run, 0, options, *set_.mirrors()[0], takeover);
  return failure;
}

}  // namespace mirdax::crash
