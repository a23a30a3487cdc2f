// SPDX-License-Identifier: BSD-2-Clause
// Workloads by system and by chance, over the names that every shape has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/crash/workload.h"

namespace mirdax::crash {

// One step of a generated workload: mostly one line.
struct CoreOperation {
  std::vector<Operation> lines;
  std::string file;  // what it changes, for a sync of that file; empty: no file
  // The directories whose names it changes, or that which holds the file.
  std::vector<std::string> dirs;
};

// All that a workload may begin with. Each is possible on a fresh shape.
const std::vector<CoreOperation>& CoreOperations();

struct GeneratedWorkload {
  Workload workload;
  // The operations before this one are a workload of their own, with the same crash points.
  uint32_t first_operation = 0;
};

// Every sequence of `length` core operations (1 or 2), with every sync point, or none, after each:
// fsync, fdatasync and msync of the file, fsync of each directory, the commit interval. Those that
// the model refuses (nothing is left to rename, say) are left out.
std::vector<GeneratedWorkload> Systematic(const std::string& shape, unsigned length);

// `count` seeded samples of longer sequences, sync points likewise; of each shape others.
std::vector<GeneratedWorkload> Sample(const std::string& shape, unsigned length, uint64_t count,
                                      uint64_t seed);

}  // namespace mirdax::crash
