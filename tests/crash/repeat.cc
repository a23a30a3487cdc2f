// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/repeat.h"

#include <fmt/format.h>

namespace mirdax::crash {

ExploreOptions RepeatOptions(const ExploreOptions& asked, const Failure& failure) {
  ExploreOptions options = asked;
  options.first_operation = 0;
  options.point = failure.point;
  options.subset = failure.subset;
  options.copy = failure.copy;
  options.recovery_every = failure.depth.recovery != 0 ? 1 : 0;
  options.unmount_every = failure.depth.unmount ? 1 : 0;
  options.serve_every = failure.depth.takeover.serve ? 1 : 0;
  return options;
}

std::string RepeatCommand(const std::string& file, const ExploreOptions& asked,
                          const Failure& failure, std::optional<Scenario> scenario) {
  const ExploreOptions options = RepeatOptions(asked, failure);
  std::string command = fmt::format(
      "crash_explorer --run {} --point {} --subset {} --seed {} --recovery-every {} "
      "--unmount-every {}",
      file, failure.point, failure.subset, options.seed, options.recovery_every,
      options.unmount_every);
  if (options.recovery_every != 0)
    command += fmt::format(" --recovery-subsets {}", options.recovery_subsets);
  if (scenario)
    command += fmt::format(" --mirror {} --copy {} --serve-every {}", NameOf(*scenario),
                           CopyName(failure.copy), options.serve_every);
  if (failure.workload.clients() != 0)
    command += fmt::format(" --schedule {}", failure.workload.schedule);
  return command;
}

}  // namespace mirdax::crash
