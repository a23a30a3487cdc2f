// SPDX-License-Identifier: BSD-2-Clause
// Makes an empty filesystem, or a blank mirror, of a mapped pool.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fs/base/clock.h"
#include "fs/base/random.h"
#include "fs/base/result.h"
#include "fs/base/uuid.h"
#include "fs/format/geometry.h"
#include "fs/pmem/region.h"

namespace mirdax {

struct FormatOptions {
  std::string label;
  GeometryOptions geometry;
  bool mirror = false;           // a blank copy that a primary will fill: no geometry, no set
  std::optional<Uuid> set_uuid;  // random when absent; not for a mirror
  uint64_t pool_size = 0;        // bytes to use; 0 is all of the region
  // Makes a range of the pool read as zeros, durably. Region::StreamZeros() when empty.
  std::function<Status(PoolRange)> zero;
};

struct FormatReport {
  Geometry geometry;  // of a mirror: pool_size only
  Uuid set_uuid;      // nil for a mirror
  Uuid copy_uuid;
};

// The geometry that FormatRegion() would give a pool of `region_size` bytes.
// Errors: kInvalid with the reason and the remedy.
Result<Geometry> PlanFormat(uint64_t region_size, const FormatOptions& options);

// Invariants:
// F1  From the first durable store to the last but one, no superblock is valid: a power cut leaves
//     the old pool untouched, no pool at all, or the new one.
// F2  What the engine takes for zero reads as zero: out-of-sync maps, bitmaps, inode table. The
//     journal and the data area keep their old bytes. Records of an earlier filesystem may well
//     carry LSNs of the new one, but nothing above the commit word counts (R3), and below it there
//     are only records that were written since; the engine shows no byte of a data block that it
//     has not written.
// F3  The bits of the block bitmap and of the inode bitmap that stand for nothing, beyond
//     data_blocks and inode_count, are 1: an allocator needs no special case.
//
// Errors: kInvalid (nothing was written), kIo.
Result<FormatReport> FormatRegion(Region& region, const FormatOptions& options, Random& random,
                                  Clock& clock);

}  // namespace mirdax
