// SPDX-License-Identifier: BSD-2-Clause
// The writing side of the journal: builds a record in DRAM, appends it to the ring, publishes it
// through the commit word. replay.h is the reading side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fs/base/result.h"
#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

// One record being built; its memory is reused by the next one.
// Threads: one at a time.
class RecordBuilder {
 public:
  // Most bytes that a dirty line adds to a record: itself, and a patch of its own.
  static constexpr uint64_t kBytesPerLine = kLineSize + sizeof(Patch);
  // Most bytes that a record has besides: its header and the padding of the patch table.
  static constexpr uint64_t kOverhead = sizeof(RecordHeader) + kLineSize;

  void Clear();
  // Takes the memory that a record of so many lines may need; the other methods need none then.
  void Reserve(uint64_t lines);
  // Adds a patch (or grows the last one, if it ends at `offset`). Returns its copy of the bytes,
  // which may be changed until the next call.
  std::span<std::byte> Add(uint64_t offset, std::span<const std::byte> bytes);
  // Completes header and checksum. REQUIRES: not empty.
  void Seal(Lsn lsn, uint64_t transaction, uint64_t epoch);

  bool empty() const noexcept { return patches_.empty(); }
  uint64_t length() const noexcept;  // of the whole record
  std::span<const Patch> patches() const noexcept { return patches_; }
  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  std::span<const std::byte> front() const noexcept { return front_; }  // header and patch table

 private:
  std::vector<Patch> patches_;
  std::vector<std::byte> bytes_;
  std::vector<std::byte> front_;
};

// Threads: one at a time.
class JournalWriter {
 public:
  JournalWriter(Region& region, const Geometry& geometry) : region_(region), geometry_(geometry) {}

  // Streams a sealed record to its place; durable after the thread's next Drain().
  // REQUIRES: nothing in that place is at or above the tail of any in-sync copy.
  void Append(Lsn lsn, const RecordBuilder& record);
  // Moves the commit word, durably. REQUIRES (R1): everything below `commit` and the data that
  // those records reference are durable. After kIo it is unknown which value survives.
  Status Publish(Lsn commit);

 private:
  void Copy(Lsn lsn, std::span<const std::byte> bytes);

  Region& region_;
  const Geometry& geometry_;
};

}  // namespace mirdax
