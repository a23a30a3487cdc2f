// SPDX-License-Identifier: BSD-2-Clause
// A formatted pool in memory: what a unit test of the engine runs on.
#pragma once

#include <memory>
#include <string>

#include "fs/pmem/pool.h"
#include "fs/pmem/superblock_pair.h"
#include "mkfs/format_region.h"

namespace mirdax::test {

// Errors: Create() ends the process on an impossible size: a test's mistake.
// Threads: as Pool says.
class MemoryPool final : public Pool {
 public:
  // A new pool of `size` bytes. Costs memory only where it is written. The same seed gives the same
  // UUIDs and directory hashes.
  static std::unique_ptr<MemoryPool> Create(uint64_t size, const FormatOptions& options = {},
                                            uint64_t seed = 1);
  // Formats `region` (a RecorderRegion, say), whose memory is all zero.
  static std::unique_ptr<MemoryPool> Create(std::unique_ptr<Region> region,
                                            const FormatOptions& options = {}, uint64_t seed = 1);
  // Opens what lies in `region`: a crash image, say.
  static Result<std::unique_ptr<MemoryPool>> Open(std::unique_ptr<Region> region);

  // Zeroed anonymous memory as a Region; nothing is ever durable.
  static std::unique_ptr<Region> MakeRegion(uint64_t size);

  Region& region() noexcept override { return *region_; }
  const Superblock& superblock() const noexcept override { return pair_.superblock(); }
  const Geometry& geometry() const noexcept override { return pair_.geometry(); }
  const std::string& path() const noexcept override { return path_; }
  Status StoreSuperblock(Superblock next) override { return pair_.Store(*region_, next); }

 private:
  MemoryPool(std::unique_ptr<Region> region, const SuperblockPair& pair)
      : region_(std::move(region)), pair_(pair) {}

  const std::string path_ = "memory";
  const std::unique_ptr<Region> region_;
  SuperblockPair pair_;
};

}  // namespace mirdax::test
