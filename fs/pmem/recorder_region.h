// SPDX-License-Identifier: BSD-2-Clause
// A pool in memory that knows what a power cut would keep. For tests.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <thread>
#include <unordered_set>
#include <vector>

#include "fs/base/mutex.h"
#include "fs/pmem/mapped_region.h"
#include "fs/pmem/mapping.h"

namespace mirdax {

// What was asked of a region, in order.
struct RegionEvent {
  enum class Kind : uint8_t { kWrite, kStream, kStreamZeros, kStore64, kFlush, kDrain };
  uint64_t sequence;  // 1, 2, 3...
  Kind kind;
  uint64_t offset;               // 0 for kDrain
  uint64_t length;               // 0 for kDrain
  std::vector<std::byte> bytes;  // kWrite, kStream, kStore64
  std::thread::id thread;
  bool failed;  // kDrain: by FailDrain()
};

// A line in flight that had reached the medium when the power went.
struct LandedLine {
  uint64_t offset;       // a multiple of kLineSize
  uint8_t words = 0xff;  // bit i: its i-th 8 aligned bytes did
};

// The strict reading of region.h: a Drain() makes durable exactly what its own thread has flushed
// or streamed before, line by line, with the contents that the lines have at the Drain(). A store
// that was not flushed, or was flushed and drained by different threads, stays in flight.
//
// Images are made of the present contents of lines in flight; older contents of a line that was
// stored to twice are found by taking images in between, or by replaying the log.
//
// Threads: every method by any. Locks: its own, a leaf.
class RecorderRegion final : public MappedRegion {
 public:
  struct Counts {
    uint64_t stores = 0;  // Write, Store64
    uint64_t streams = 0;
    uint64_t flushes = 0;
    uint64_t drains = 0;
    uint64_t drained_lines = 0;
  };

  // `size` bytes of zeros, or a copy of `image`; all of it durable.
  static Result<std::unique_ptr<RecorderRegion>> Create(uint64_t size);
  static Result<std::unique_ptr<RecorderRegion>> Create(std::span<const std::byte> image);

  void Write(uint64_t offset, std::span<const std::byte> bytes) override;
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override;
  void StreamZeros(uint64_t offset, uint64_t length) override;
  void Store64(uint64_t offset, uint64_t value) override;
  void Flush(uint64_t offset, uint64_t length) override;
  Status Drain() override;

  // Since the last ResetCounts().
  Counts counts() const MIRDAX_EXCLUDES(mutex_);
  void ResetCounts() MIRDAX_EXCLUDES(mutex_);

  // Logs from now on. TakeLog() returns and forgets what was logged.
  void StartLog() MIRDAX_EXCLUDES(mutex_);
  std::vector<RegionEvent> TakeLog() MIRDAX_EXCLUDES(mutex_);

  // The n-th Drain() from now (1 = the next) fails with kIo; and every later one when
  // `from_then_on`. n = 0 ends it.
  void FailDrain(uint64_t n, bool from_then_on) MIRDAX_EXCLUDES(mutex_);

  // Offsets, ascending, of the lines whose contents are not those on the medium.
  std::vector<uint64_t> InFlightLines() const MIRDAX_EXCLUDES(mutex_);
  // What a power cut now would leave: what was drained, and `landed` of what is in flight.
  Result<Mapping> CrashImage(std::span<const LandedLine> landed) const MIRDAX_EXCLUDES(mutex_);

 private:
  RecorderRegion(Mapping memory, Mapping durable);
  static Result<std::unique_ptr<RecorderRegion>> Make(uint64_t size);

  void Log(RegionEvent::Kind kind, uint64_t offset, uint64_t length,
           std::span<const std::byte> bytes, bool failed = false) MIRDAX_REQUIRES(mutex_);
  void Touch(uint64_t offset, uint64_t length) MIRDAX_REQUIRES(mutex_);
  bool DrainFails() MIRDAX_REQUIRES(mutex_);

  const Mapping memory_;
  mutable Mutex mutex_;
  const Mapping durable_ MIRDAX_GUARDED_BY(mutex_);                 // the bytes
  std::unordered_set<uint64_t> touched_ MIRDAX_GUARDED_BY(mutex_);  // lines since their last drain
  std::map<std::thread::id, std::vector<PoolRange>> flushed_ MIRDAX_GUARDED_BY(mutex_);
  Counts counts_ MIRDAX_GUARDED_BY(mutex_);
  uint64_t sequence_ MIRDAX_GUARDED_BY(mutex_) = 0;
  bool logging_ MIRDAX_GUARDED_BY(mutex_) = false;
  std::vector<RegionEvent> log_ MIRDAX_GUARDED_BY(mutex_);
  uint64_t fail_in_ MIRDAX_GUARDED_BY(mutex_) = 0;  // drains until one fails; 0 = none will
  bool fail_on_ MIRDAX_GUARDED_BY(mutex_) = false;
};

}  // namespace mirdax
