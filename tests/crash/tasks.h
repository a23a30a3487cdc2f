// SPDX-License-Identifier: BSD-2-Clause
// Workloads to go through: generated, or read from files.
#pragma once

#include <string>
#include <vector>

#include "tests/crash/generator.h"

namespace mirdax::crash {

struct Task {
  GeneratedWorkload generated;
  std::string file;  // that it was read from; empty: none
};

// Adds the workload of a file, or of all files *.txt of a folder, to `tasks`.
// Errors: kNotFound, kInvalid; the message names file and line.
Status ReadTasks(const std::string& name, std::vector<Task>& tasks);

}  // namespace mirdax::crash
