// SPDX-License-Identifier: BSD-2-Clause
// A full copy of what is allocated, from a pool at rest to one mirror.
#pragma once

#include <functional>

#include "fs/pmem/pool.h"
#include "replicator/mirror_link.h"

namespace mirdax {

// kIo when the medium refuses some of what CopyAllocated() would copy.
// REQUIRES: as CopyAllocated(), but for the mirror.
Status CheckAllocated(Pool& pool);

// Copies the bitmaps, every block of the inode table that holds an inode in use (zeros for the
// others), and every block of the data area in use. When it succeeds, all of that is durable on the
// mirror; what `link` fails with is in failure().
// REQUIRES: tail == commit word, nothing changes; the mirror has begun the fill (R7) and its data
//           connection is open.
bool CopyAllocated(Pool& pool, MirrorLink& link, EpochId epoch,
                   const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace mirdax
