// SPDX-License-Identifier: BSD-2-Clause
// Workloads to go through: generated, or read from files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/generator.h"
#include "tests/crash/shapes.h"

namespace mirdax::crash {

struct Task {
  GeneratedWorkload generated;
  std::string file;  // that it was read from; empty: none
};

// Adds the workload of a file, or of all files *.txt of a folder, to `tasks`.
// Errors: kNotFound, kInvalid; the message names file and line.
Status ReadTasks(const std::string& name, std::vector<Task>& tasks);

// Whether generated workloads are to run on `shape`: `asked` is its name, or "all".
bool Asked(std::string_view asked, const Shape& shape);
// kInvalid: on none.
Status CheckAsked(std::string_view asked);

}  // namespace mirdax::crash
