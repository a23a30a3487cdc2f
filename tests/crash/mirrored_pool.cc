// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/mirrored_pool.h"

#include <utility>

#include "fs/format/geometry.h"
#include "mkfs/format_region.h"
#include "tests/crash/replica_set.h"

namespace mirdax::crash {
namespace {

Result<std::unique_ptr<ImageRegion>> BlankMirror(size_t index) {
  MIRDAX_ASSIGN(auto region, ImageRegion::Create(std::vector<std::byte>(kMinPoolSize)));
  FormatOptions options;
  options.mirror = true;
  SeededRandom random(100 + index);
  StepClock clock;
  clock.Set(SecondsAt(0));
  MIRDAX_TRY(FormatRegion(*region, options, random, clock));
  return region;
}

}  // namespace

Result<std::unique_ptr<MirroredPool>> MirroredPool::Build(const Shape& shape, size_t mirrors) {
  std::vector<std::unique_ptr<ImageRegion>> regions;
  for (size_t i = 0; i < mirrors; ++i) {
    MIRDAX_ASSIGN(auto region, BlankMirror(i));
    regions.push_back(std::move(region));
  }
  const auto fill = [&](ImageRegion& primary) -> Status {
    ReplicaSet set(regions, {});
    MIRDAX_TRY(set.Serve());
    MIRDAX_ASSIGN(const auto mounted, MountedImage::Open(primary));
    MIRDAX_TRY(mounted->Recover());
    MIRDAX_ASSIGN(auto sink, set.Connect(*mounted));
    MIRDAX_TRY(mounted->Mount(std::move(sink)));
    return mounted->volume().Unmount();  // which waits until the mirrors have applied all
  };
  MIRDAX_ASSIGN(auto primary, ShapedPool::Build(shape, fill));
  // Fresh regions, so that levels begin with what was built.
  for (auto& region : regions) {
    MIRDAX_ASSIGN(region, ImageRegion::Create(region->memory()));
  }
  return std::unique_ptr<MirroredPool>(new MirroredPool(std::move(primary), std::move(regions)));
}

}  // namespace mirdax::crash
