// SPDX-License-Identifier: BSD-2-Clause
// A pool on real PM (devdax, fs-dax): durable by cache-line flushes and fences, or fences alone.
#pragma once

#include "fs/pmem/mapped_region.h"
#include "fs/pmem/pmem2_map.h"

namespace mirdax {

// Every method is libpmem2's function for this mapping. Drain() cannot fail: a line that the medium
// refuses is reported when it is read (machine check), not when it is flushed.
//
// Threads: as Region says. Locks: none.
class LineRegion final : public MappedRegion {
 public:
  explicit LineRegion(Pmem2Map map);

  void Write(uint64_t offset, std::span<const std::byte> bytes) override { Copy(offset, bytes); }
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override;
  void StreamZeros(uint64_t offset, uint64_t length) override;
  void Store64(uint64_t offset, uint64_t value) override { CopyWord(offset, value); }
  void Flush(uint64_t offset, uint64_t length) override;
  Status Drain() override;

 private:
  const Pmem2Map map_;
  const pmem2_memcpy_fn memcpy_;
  const pmem2_memset_fn memset_;
  const pmem2_flush_fn flush_;
  const pmem2_drain_fn drain_;
};

}  // namespace mirdax
