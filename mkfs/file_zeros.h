// SPDX-License-Identifier: BSD-2-Clause
// Zeros for large ranges of a file at the cost of what it really holds.
#pragma once

#include "fs/base/ranges.h"
#include "fs/base/result.h"
#include "fs/pmem/region.h"

namespace mirdax {

// Makes `range` of the file open as `fd`, which `region` maps, read as zeros, durably. Holes and
// preallocated blocks stay what they are; data becomes preallocated blocks where the filesystem can
// do that, holes where it cannot, and is overwritten where neither works.
Status ZeroFileRange(int fd, Region& region, PoolRange range);

}  // namespace mirdax
