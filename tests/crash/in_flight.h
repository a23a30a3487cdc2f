// SPDX-License-Identifier: BSD-2-Clause
// Replays a region's log and knows, at each event, what a power cut would keep for certain and what
// it may keep or lose.
#pragma once

#include <array>
#include <map>
#include <span>
#include <thread>
#include <vector>

#include "fs/format/layout.h"
#include "fs/pmem/recorder_region.h"
#include "tests/crash/image_region.h"

namespace mirdax::crash {

using LineBytes = std::array<std::byte, kLineSize>;

// A line whose newest contents the medium may lack.
struct FlyingLine {
  uint64_t offset = 0;
  // What it held after each store since it was last durable, oldest first, each different from the
  // one before: the medium has one of these, or mixes of them in units of 8 bytes, or none.
  std::vector<LineBytes> contents;
};

// The strict reading of region.h: a drain makes durable what its own thread has flushed or streamed
// before, with the contents that a line had when it was flushed. What was stored to it after that
// stays in flight. (Stricter than RecorderRegion, which takes the contents at the drain.)
//
// What is durable lies in an ImageRegion; the replay puts it there.
//
// Threads: one at a time.
class InFlight {
 public:
  explicit InFlight(ImageRegion& durable) : durable_(durable) {}

  void Replay(const RegionEvent& event);

  // Ascending by offset; only lines that differ from what is durable.
  std::vector<FlyingLine> Lines();

 private:
  struct Mark {  // a flush that no drain has followed yet
    uint64_t offset;
    size_t stores;  // contents of the line that it covers
  };
  struct Pending {
    std::vector<LineBytes> contents;
    size_t dropped = 0;  // contents that became durable and left the front
  };

  void Store(uint64_t offset, std::span<const std::byte> bytes, uint64_t length);
  void Flush(uint64_t offset, uint64_t length, std::thread::id thread);
  void Drain(std::thread::id thread);

  ImageRegion& durable_;
  std::map<uint64_t, Pending> lines_;  // by offset
  std::map<std::thread::id, std::vector<Mark>> flushed_;
};

}  // namespace mirdax::crash
