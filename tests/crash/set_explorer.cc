// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/set_explorer.h"

#include <chrono>

#include "tests/crash/current_case.h"

namespace mirdax::crash {

std::optional<Failure> SetExplorer::Explore(const Workload& workload, const ExploreOptions& asked) {
  ExploreOptions options = asked;
  // Where one is lost, earlier crash points are not those of another workload.
  if (MirrorsOf(scenario_) != 1) options.first_operation = 0;
  const auto begun = std::chrono::steady_clock::now();
  ++stats_.workloads;
  SetCurrentCase(&workload, 0, 0);
  const Result<SetRecording> recording = RecordSet(set_, workload, scenario_, options.seed);
  stats_.record_ns += static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now() - begun).count());
  if (!recording) {
    Failure failure{.workload = workload, .moment = {}, .reason = recording.error().message};
    if (on_failure_) on_failure_(failure, set_.mirrors().front()->memory());
    return failure;
  }
  const Takeover takeover(recording->epochs);
  std::optional<Failure> failure;
  for (size_t i = 0; i < recording->mirrors.size() && !failure; ++i) {
    if (options.mirror && *options.mirror != i) continue;
    const auto report = [&](const Failure& of_mirror, std::span<const std::byte> image) {
      failure = of_mirror;
      failure->workload = workload;  // as it was asked for: the scenario adds to it again
      failure->mirror = i;
      if (on_failure_) on_failure_(*failure, image);
    };
    Explorer(set_.primary(), distinct_, stats_, report)
        .ExploreMirror(recording->workload, recording->mirrors[i], options, *set_.mirrors()[i],
                       takeover);
  }
  return failure;
}

}  // namespace mirdax::crash
