// SPDX-License-Identifier: BSD-2-Clause
// Workloads with clients at work at once, by system and by chance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/crash/generator.h"

namespace mirdax::crash {

// The core operations (generator.h) done to the same few names by two clients or more. Files are
// opened first, and used by handle: CheckClients() says why. What the oracle does not understand is
// left out, and so is what a client alone would be refused.

// All pairs, one operation a client, with a seeded choice of sync points after them (most pairs get
// two, so that commits meet), each with `schedules` schedules from the seed on.
std::vector<GeneratedWorkload> ClientPairs(const std::string& shape, uint64_t schedules,
                                           uint64_t seed);

// `count` seeded samples: each client does 1 to `most_operations` core operations, with sync
// points; mostly to names that another client uses too. Now and then one of them is the commit
// interval.
std::vector<GeneratedWorkload> SampleClients(const std::string& shape, unsigned clients,
                                             unsigned most_operations, uint64_t count,
                                             uint64_t seed);

}  // namespace mirdax::crash
