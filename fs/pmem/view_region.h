// SPDX-License-Identifier: BSD-2-Clause
// A view of a pool that never changes it: stores stay in private memory, or there are none.
#pragma once

#include <memory>

#include "fs/pmem/mapped_region.h"
#include "fs/pmem/mapping.h"

namespace mirdax {

// Copy-on-write memory: of a pool (recovery on behalf of fsck or a read-only mount), or of nothing
// (an unnamed pool in DRAM). Nothing here survives the process, so Flush() and Drain() do nothing.
//
// Threads: as Region says.
class ViewRegion final : public MappedRegion {
 public:
  // `bad`: what was refused when the memory was copied from a pool.
  ViewRegion(Mapping mapping, Granularity granularity, std::span<const BadRange> bad = {})
      : MappedRegion(mapping.bytes(), granularity), mapping_(std::move(mapping)) {
    for (const BadRange& range : bad) bad_ranges().Add(range);
  }

  void Write(uint64_t offset, std::span<const std::byte> bytes) override { Copy(offset, bytes); }
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override { Copy(offset, bytes); }
  void StreamZeros(uint64_t offset, uint64_t length) override { Zero(offset, length); }
  void Store64(uint64_t offset, uint64_t value) override { CopyWord(offset, value); }
  void Flush(uint64_t offset, uint64_t length) override { Address(offset, length); }
  Status Drain() override { return {}; }

 private:
  const Mapping mapping_;
};

}  // namespace mirdax
