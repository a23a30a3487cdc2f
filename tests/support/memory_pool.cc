// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/memory_pool.h"

#include <utility>

#include "fs/pmem/mapping.h"
#include "fs/pmem/view_region.h"

namespace mirdax::test {

std::unique_ptr<Region> MemoryPool::MakeRegion(uint64_t size) {
  auto mapping = Mapping::Anonymous(size);
  MIRDAX_CHECK(mapping.has_value());
  return std::make_unique<ViewRegion>(std::move(*mapping), Granularity::kCacheLine);
}

std::unique_ptr<MemoryPool> MemoryPool::Create(uint64_t size, const FormatOptions& options,
                                               uint64_t seed) {
  return Create(MakeRegion(size), options, seed);
}

std::unique_ptr<MemoryPool> MemoryPool::Create(std::unique_ptr<Region> region,
                                               const FormatOptions& options, uint64_t seed) {
  FormatOptions fresh = options;
  fresh.zero = [](PoolRange) -> Status { return {}; };  // it is zero already
  SeededRandom random(seed);
  SystemClock clock;
  MIRDAX_CHECK(FormatRegion(*region, fresh, random, clock).has_value());
  auto pool = Open(std::move(region));
  MIRDAX_CHECK(pool.has_value());
  return std::move(*pool);
}

Result<std::unique_ptr<MemoryPool>> MemoryPool::Open(std::unique_ptr<Region> region) {
  MIRDAX_ASSIGN(const SuperblockPair pair, SuperblockPair::Load(*region));
  return std::unique_ptr<MemoryPool>(new MemoryPool(std::move(region), pair));
}

}  // namespace mirdax::test
