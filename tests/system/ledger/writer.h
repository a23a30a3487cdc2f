// SPDX-License-Identifier: BSD-2-Clause
// Writes a ledger and notes what was acknowledged.
#pragma once

#include <cstdint>
#include <string>

namespace mirdax::ledger {

struct WriterOptions {
  std::string directory;  // on the filesystem under test
  std::string notes;      // on another one
  unsigned files = 4;     // of each kind
  unsigned threads = 4;
  double seconds = 3600;  // at most; the first failed call of a thread ends that thread
  uint64_t seed = 1;
  bool resume = false;  // the directory has a ledger already: go on from its notes
};

struct WriterResult {
  uint64_t acknowledged = 0;
  std::string failure;  // the first failed call; empty when time ran out
};

// Makes the files, appends "ready" to the notes, then writes until time is up or a call fails.
// Every acknowledged record is in the notes before the next call of its thread.
// Throws std::system_error when the files cannot be made.
WriterResult WriteLedger(const WriterOptions& options);

}  // namespace mirdax::ledger
