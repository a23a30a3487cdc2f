// SPDX-License-Identifier: BSD-2-Clause
// Chooses the Region for a pool.
#include <cstring>
#include <utility>
#include <vector>

#include "fs/format/layout.h"
#include "fs/pmem/line_region.h"
#include "fs/pmem/mapping.h"
#include "fs/pmem/page_region.h"
#include "fs/pmem/pmem2_map.h"
#include "fs/pmem/pool_file.h"
#include "fs/pmem/shadow_region.h"
#include "fs/pmem/view_region.h"

namespace mirdax {
namespace {

// A devdax device cannot be mapped copy-on-write: the view is a copy, without the zero pages.
Result<Mapping> CopyOf(const Mapping& source, std::vector<BadRange>& bad) {
  const BadRanges watch(source.bytes());
  MIRDAX_ASSIGN(Mapping copy, Mapping::Anonymous(source.bytes().size()));
  static constexpr std::array<std::byte, kBlockSize> kZero{};
  for (size_t at = 0; at < source.bytes().size(); at += kBlockSize) {
    const std::byte* from = source.bytes().data() + at;
    if (std::memcmp(from, kZero.data(), kBlockSize) != 0)
      std::memcpy(copy.bytes().data() + at, from, kBlockSize);
  }
  bad = watch.List();
  return copy;
}

Result<std::unique_ptr<Region>> MapShadow(const PoolFile& file, uint64_t size,
                                          Granularity granularity, const PoolOptions& options) {
  if (file.is_device())
    return Fail(ErrorCode::kNotSupported,
                "{}: the shadow modes need a pool that is a file; use pm=direct", file.path());
  MIRDAX_ASSIGN(Mapping view, Mapping::Private(file.fd(), size, file.path()));
  MIRDAX_ASSIGN(Mapping pool, Mapping::Shared(file.fd(), size, file.path()));
  std::optional<uint64_t> seed;
  if (options.pm == PmMode::kShadowHalf) seed = options.pm_seed;
  return std::make_unique<ShadowRegion>(std::move(view), std::move(pool), granularity, seed);
}

}  // namespace

Result<std::unique_ptr<Region>> PoolFile::Map(const PoolOptions& options) const {
  const uint64_t size = size_ / kBlockSize * kBlockSize;
  if (size == 0) return Fail(ErrorCode::kCorrupt, "{}: is empty; format it first", path_);
  const bool writable = options.access == PoolAccess::kExclusive;
  MIRDAX_ASSIGN(Pmem2Map map, MapWithPmem2(fd_, size, writable, path_));
  const Granularity granularity = GranularityOf(map);

  if (!writable) {
    map.reset();  // it was made to find out the granularity
    MIRDAX_ASSIGN(Mapping pool, Mapping::ReadOnly(fd_, size, path_));
    if (options.access == PoolAccess::kShared)
      return std::make_unique<ViewRegion>(std::move(pool), granularity);
    std::vector<BadRange> bad;
    MIRDAX_ASSIGN(Mapping view,
                  is_device_ ? CopyOf(pool, bad) : Mapping::Private(fd_, size, path_));
    return std::make_unique<ViewRegion>(std::move(view), granularity, bad);
  }
  if (options.pm != PmMode::kDirect) {
    map.reset();
    return MapShadow(*this, size, granularity, options);
  }
  if (granularity == Granularity::kPage) return std::make_unique<PageRegion>(std::move(map));
  return std::make_unique<LineRegion>(std::move(map));
}

}  // namespace mirdax
