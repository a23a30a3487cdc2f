// SPDX-License-Identifier: BSD-2-Clause
// The superblocks of a mapped pool: read, chosen, updated.
#pragma once

#include "fs/base/result.h"
#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

// Invariant: superblock() is durable. A change is one A/B step: written to the older of the two
// with sequence + 1 and a checksum, made durable, and only then visible.
//
// Errors:  kCorrupt, kIncompatible from Load() (superblock.h; shorter than stated: both numbers).
// Threads: Load() and Store() by one at a time.
class SuperblockPair {
 public:
  static Result<SuperblockPair> Load(Region& region);

  const Superblock& superblock() const noexcept { return current_; }
  const Geometry& geometry() const noexcept { return geometry_; }  // empty on a blank mirror

  // As Pool::StoreSuperblock().
  Status Store(Region& region, Superblock next);

 private:
  Superblock current_{};
  Geometry geometry_;
  size_t slot_ = 0;
};

}  // namespace mirdax
