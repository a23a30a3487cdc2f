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
  bool may_refuse = false;  // a copy that is being filled need not be promotable
  // Of the last event before it, of any copy: what other copies were asked by then.
  uint64_t sequence = 0;
};

struct Recording {
  // Of an operation: events before it began, and when it had returned.
  struct Span {
    size_t begin = 0;
    size_t end = 0;
    // Likewise, by sequence: where there are several copies.
    uint64_t begun_at = 0;
    uint64_t returned_at = 0;
  };

  History history;
  std::vector<RegionEvent> log = {};  // from before the mount on
  std::vector<Span> spans = {};       // by index - 1

  // Of a mirror:
  std::vector<size_t> posts =
      {};  // events made when a write or a message had just been posted to it
  // By index - 1: whether it was on the durable in-sync list when the operation had returned.
  // Empty: always. A copy that is not owes nobody what was acknowledged since.
  std::vector<bool> listed = {};
  // Sequence of events: between, it was not on the durable list, and may have been being filled.
  uint64_t fill_begin = 0;
  uint64_t fill_end = 0;

  // Before the first operation, then of each operation: right before each of its drains, after each
  // post, and when it has returned; then the same of what a mirror does before the next one begins.
  // Nothing that a cut in between can leave is missing: what is in flight only grows until a drain,
  // and subsets have older contents of lines too.
  std::vector<CrashPoint> Points() const;
};

// Does one operation to the volume and to the model; they must agree (kCorrupt).
// Where space is `scarce`, it may do less, or nothing.
Status DoStep(MountedImage& mounted, Executor& executor, History& history, Operation operation,
              bool scarce);

// Runs `workload` on `pool` and takes back all it stored.
// Errors: kInvalid: the shape could not be mounted. kCorrupt: an operation answered something else
// than the model says (that space ran out is no such thing); the message says which.
Result<Recording> Record(ShapedPool& pool, const Workload& workload);

}  // namespace mirdax::crash
