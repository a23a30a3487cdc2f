// SPDX-License-Identifier: BSD-2-Clause
// One run of a workload: what the model says of it, and what the pool was asked.
#pragma once

#include <vector>

#include "tests/crash/history.h"
#include "tests/crash/shapes.h"

namespace mirdax::crash {

// A moment at which the power may go.
struct CrashPoint {
  size_t events = 0;  // of the log, that were made
  Moment moment;
};

struct Recording {
  // Of an operation: events before it began, and when it had returned.
  struct Span {
    size_t begin = 0;
    size_t end = 0;
  };

  History history;
  std::vector<RegionEvent> log;  // from before the mount on
  std::vector<Span> spans;       // by index - 1

  // Before the first operation, then of each operation: right before each of its drains, and when
  // it has returned. Nothing that a cut in between can leave is missing: what is in flight only
  // grows until a drain, and subsets have older contents of lines too.
  std::vector<CrashPoint> Points() const;
};

// Runs `workload` on `pool` and takes back all it stored.
// Errors: kInvalid: the shape could not be mounted. kCorrupt: an operation answered something else
// than the model says (that space ran out is no such thing); the message says which.
Result<Recording> Record(ShapedPool& pool, const Workload& workload);

}  // namespace mirdax::crash
