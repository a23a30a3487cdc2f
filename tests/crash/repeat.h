// SPDX-License-Identifier: BSD-2-Clause
// How one failure is repeated, and nothing else.
#pragma once

#include <optional>
#include <string>

#include "tests/crash/explorer.h"
#include "tests/crash/set_recording.h"

namespace mirdax::crash {

// What `asked` found, again: the same run, one image of it, checked in the same depth whatever the
// image's hash would make of other options.
ExploreOptions RepeatOptions(const ExploreOptions& asked, const Failure& failure);

// The command that does so, given the file that holds the failure's workload. `scenario`: where the
// run was that of a primary with mirrors.
std::string RepeatCommand(const std::string& file, const ExploreOptions& asked,
                          const Failure& failure, std::optional<Scenario> scenario);

}  // namespace mirdax::crash
