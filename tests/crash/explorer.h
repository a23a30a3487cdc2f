// SPDX-License-Identifier: BSD-2-Clause
// Visits the crash states of one workload: records it once, then builds and checks images of every
// crash point.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>

#include "fs/base/mutex.h"
#include "tests/crash/checker.h"
#include "tests/crash/interleaved_run.h"
#include "tests/crash/recording.h"
#include "tests/crash/shapes.h"

namespace mirdax::crash {

class Orders;

// The images of all workloads, by hash, so that "distinct" is counted honestly: those of primaries
// and those of mirrors apart; and the runs of workloads with clients, by the turns that they took.
//
// Threads: every method by any.
class DistinctImages {
 public:
  enum class Of : uint8_t { kPrimaries, kMirrors };

  // What was recovered and judged.
  void Add(Of copies, uint64_t hash) MIRDAX_EXCLUDES(mutex_);
  uint64_t count(Of copies) const MIRDAX_EXCLUDES(mutex_);
  void AddInterleaving(const Workload& workload, uint64_t fingerprint) MIRDAX_EXCLUDES(mutex_);
  uint64_t interleavings() const MIRDAX_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::unordered_set<uint64_t> of_primaries_ MIRDAX_GUARDED_BY(mutex_);
  std::unordered_set<uint64_t> of_mirrors_ MIRDAX_GUARDED_BY(mutex_);
  std::unordered_set<uint64_t> interleavings_ MIRDAX_GUARDED_BY(mutex_);
};

struct ExploreStats {
  uint64_t workloads = 0;
  uint64_t points = 0;
  uint64_t exhausted = 0;       // of them: every subset of the lines in flight was visited
  uint64_t set_cuts = 0;        // of a primary and its mirrors at once
  uint64_t shared_commits = 0;  // InterleavedRun
  uint64_t record_ns = 0;       // runs of workloads
  uint64_t replay_ns = 0;       // of logs, and making of images
  uint64_t set_ns = 0;          // power cuts of whole sets
  CheckStats check;

  ExploreStats& operator+=(const ExploreStats& other);
};

// Which copy of a set an image is of: a mirror's number, or one of these.
inline constexpr uint64_t kPrimaryCopy = ~uint64_t{0};
inline constexpr uint64_t kAllCopies = kPrimaryCopy - 1;  // an image of each
std::string CopyName(uint64_t copy);                      // "primary", "all", "0"...
std::optional<uint64_t> FindCopy(std::string_view name);  // the inverse

struct ExploreOptions {
  uint64_t seed = 1;
  uint64_t images_per_point = 64;  // at most, but none and all always: Subsets
  // Spread evenly over the points, where that is less; 0: no such limit.
  uint64_t images_per_workload = 0;
  uint64_t recovery_every = 16;   // crash during the recovery of every n-th image; 0: of none
  uint64_t recovery_subsets = 4;  // ... with so many subsets at each fence
  uint64_t serve_every = 3;       // of a mirror: its daemon applies every n-th image first; 0: none
  uint64_t unmount_every = 4;     // unmount every n-th image, and check it again; 0: none
  uint64_t set_every = 8;         // of a set: at every n-th point all copies lose power; 0: never
  // Crash points inside earlier operations are left out: another workload has them.
  uint32_t first_operation = 0;
  std::optional<uint64_t> point;   // only this one
  std::optional<uint64_t> subset;  // only this one
  std::optional<uint64_t> copy;    // likewise, where there are several
};

struct Failure {
  Workload workload;
  uint64_t point = 0;   // index in Recording::Points(); 0 also when the run itself failed
  uint64_t subset = 0;  // number in Subsets
  uint64_t copy = kPrimaryCopy;
  CheckDepth depth = {};  // in which the image was checked
  Moment moment;
  std::string reason;
};

// What a copy was asked in a run, and the moments at which its power may go.
struct CopyLog {
  ImageRegion& region;
  const std::vector<RegionEvent>& log;
  const std::vector<CrashPoint>& points;
  const Takeover* takeover = nullptr;  // of a mirror
  ShapedPool::Connect connect = {};    // of a primary with mirrors: see Checker
};

// Threads: one at a time.
class Explorer {
 public:
  using OnFailure = std::function<void(const Failure&, std::span<const std::byte> image)>;

  // REQUIRES: all outlive the object. `on_failure` may be empty; it gets the image as the crash
  // left it.
  Explorer(ShapedPool& pool, DistinctImages& distinct, ExploreStats& stats, OnFailure on_failure)
      : pool_(pool), distinct_(distinct), stats_(stats), on_failure_(std::move(on_failure)) {}

  // The first violation, if there is one. Each image is checked once for each moment.
  std::optional<Failure> Explore(const Workload& workload, const ExploreOptions& options);
  // Likewise, of a run that was recorded elsewhere, on the same pool.
  std::optional<Failure> ExploreRecording(const Workload& workload, const Recording& recording,
                                          const ExploreOptions& options);
  std::optional<Failure> ExploreInterleaved(const Workload& workload, const InterleavedRun& run,
                                            const ExploreOptions& options);
  // Likewise, of a mirror of that pool, which lies in `region`.
  std::optional<Failure> ExploreMirror(const Workload& workload, const Recording& recording,
                                       const ExploreOptions& options, ImageRegion& region,
                                       const Takeover& takeover);
  // Likewise, of any copy.
  std::optional<Failure> ExploreCopy(const Workload& workload, const CopyLog& copy,
                                     const LegalStates& legal, const ExploreOptions& options);
  // Counts a run with clients, and finds what is legal after it.
  Status Explain(const Workload& workload, const InterleavedRun& run, Orders& orders);

 private:
  struct Run;  // of one workload
  Failure FailedRun(const Workload& workload, const Error& why);
  std::optional<Failure> ExplorePoint(Run& run, uint64_t point);

  ShapedPool& pool_;
  DistinctImages& distinct_;
  ExploreStats& stats_;
  const OnFailure on_failure_;
};

}  // namespace mirdax::crash
