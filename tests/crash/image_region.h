// SPDX-License-Identifier: BSD-2-Clause
// A pool image in memory whose stores can be taken back, in time that depends on the stores alone.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "fs/format/layout.h"
#include "fs/pmem/mapped_region.h"
#include "fs/pmem/mapping.h"
#include "fs/pmem/recorder_region.h"

namespace mirdax::crash {

// One buffer serves thousands of crash images: a level is begun, stores are made (by a workload, by
// recovery, by a mount), and the end of the level undoes them, line by line. Levels nest.
//
// Also keeps the log of what was asked of it, in the form of RecorderRegion, when told to. What a
// power cut would keep is not its business: InFlight (in_flight.h) finds that out from the log.
//
// Invariant: hash() depends on the contents alone, not on how they came about. Two images with one
// hash are taken for the same (64 bits).
//
// Threads: one at a time; those of an Interleaver may change places before every store, flush and
// drain.
class ImageRegion final : public MappedRegion {
 public:
  using Line = std::span<const std::byte, kLineSize>;

  static Result<std::unique_ptr<ImageRegion>> Create(std::span<const std::byte> image);

  void Write(uint64_t offset, std::span<const std::byte> bytes) override;
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override;
  void StreamZeros(uint64_t offset, uint64_t length) override;
  void Store64(uint64_t offset, uint64_t value) override;
  void Flush(uint64_t offset, uint64_t length) override;
  Status Drain() override;

  // Asked at each drain: true makes it fail, with nothing made durable. Empty: none fails.
  void FailDrainsIf(std::function<bool()> fails) { drain_fails_ = std::move(fails); }

  // A line as the medium would have it: in no log.
  void Put(uint64_t offset, Line line);

  // The level's end brings back what is there now, whatever happens to it without a store.
  void Keep(uint64_t offset, uint64_t length) { Save(offset, length); }
  // The medium gives everything again.
  void ForgetBad() { bad_ranges().ForgetAll(); }

  void Begin();  // a level
  void Undo();   // every store since the matching Begin(). REQUIRES: there is a level.

  // Since the level began: whether anything was stored; whether anything outside the private blocks
  // is another than then. REQUIRES: there is a level.
  bool stored() const { return saved_.size() != levels_.back().first_saved; }
  bool ChangedOutsidePrivate() const;

  uint64_t Hash();
  // Of everything but the private blocks, whose A/B turn depends on how often they were written.
  uint64_t HashWithoutPrivate();

  // `events` numbers those of several regions in one order.
  void StartLog(uint64_t* events = nullptr);
  // What was logged; ends the logging.
  std::vector<RegionEvent> TakeLog();
  size_t log_size() const noexcept { return log_.size(); }
  // Of the last event, of any of the regions that are numbered in one order.
  // REQUIRES: StartLog().
  uint64_t sequence() const noexcept { return *events_; }
  // What is stored meanwhile is in no log. Returns whether it was logged before.
  bool set_logging(bool logging) { return std::exchange(logging_, logging); }

 private:
  struct Saved {
    uint64_t line;        // its number
    uint32_t last_level;  // serial of the level that had saved it before
    std::array<std::byte, kLineSize> bytes;
  };
  struct Level {
    uint32_t serial;
    size_t first_saved;
    uint64_t hash;  // at its beginning
  };

  explicit ImageRegion(Mapping memory);
  static void Step();
  void Save(uint64_t offset, uint64_t length);
  void Log(RegionEvent::Kind kind, uint64_t offset, uint64_t length,
           std::span<const std::byte> bytes, bool failed = false);
  // Of a store: without what the medium did not take.
  void LogTaken(RegionEvent::Kind kind, uint64_t offset, uint64_t length,
                std::span<const std::byte> bytes);
  Line LineAt(uint64_t number) const;

  const Mapping mapping_;
  std::vector<uint32_t> saved_by_;  // by line: serial of the last level that saved it; 0: none
  std::vector<Saved> saved_;
  std::vector<Level> levels_;  // levels_[0] is the image as it was created
  uint32_t next_serial_ = 1;
  uint64_t hash_ = 0;  // good while !hash_stale_
  bool hash_stale_ = false;
  std::function<bool()> drain_fails_;
  bool logging_ = false;
  uint64_t own_events_ = 0;
  uint64_t* events_ = nullptr;  // logged so far, here and elsewhere
  std::vector<RegionEvent> log_;
};

}  // namespace mirdax::crash
