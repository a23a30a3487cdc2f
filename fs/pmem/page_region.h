// SPDX-License-Identifier: BSD-2-Clause
// A pool in the page cache (tmpfs, a plain file): durable by msync of pages.
#pragma once

#include "fs/pmem/mapped_region.h"
#include "fs/pmem/owed_ranges.h"
#include "fs/pmem/pmem2_map.h"

namespace mirdax {

// libpmem2's memcpy and persist functions would msync at every call, and cannot report that one
// failed; its deep flush and deep sync do nothing at this granularity. So this class calls msync(2)
// itself, on libpmem2's mapping: stores are plain copies (the page cache is DRAM, and streamed
// bytes are read again at once, by mirrors), Flush() and Stream() note pages, and Drain() syncs
// them, merged.
//
// Errors:  after a failed msync the kernel takes the pages for clean, and a second msync would
//          report a success that is none. So pages that failed are dirtied again before they are
//          synced again (invariants.md 8: a failed sync stays failed until the data is durable).
// Threads: as Region says. Locks: OwedRanges' own.
class PageRegion final : public MappedRegion {
 public:
  explicit PageRegion(Pmem2Map map);

  void Write(uint64_t offset, std::span<const std::byte> bytes) override { Copy(offset, bytes); }
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override;
  void StreamZeros(uint64_t offset, uint64_t length) override;
  void Store64(uint64_t offset, uint64_t value) override { CopyWord(offset, value); }
  void Flush(uint64_t offset, uint64_t length) override;
  Status Drain() override;

 private:
  Status Sync(std::span<const PoolRange> ranges, bool first_try);

  const Pmem2Map map_;
  OwedRanges owed_;
};

}  // namespace mirdax
