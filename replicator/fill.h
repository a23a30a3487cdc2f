// SPDX-License-Identifier: BSD-2-Clause
// A full copy of what is allocated, from a pool in use to one mirror.
#pragma once

#include <functional>

#include "fs/pmem/pool.h"
#include "replicator/mirror_link.h"

namespace mirdax {

// Runs `slice` while the link's data path is the caller's and nothing is committed, with the commit
// word of that moment, and waits for the mirror's answers. False: the fill is to end here.
using SliceRunner = std::function<bool(const std::function<void(Lsn commit)>& slice)>;

// kIo when the medium refuses some of what CopyAllocated() would copy. What `run_slice` ends is no
// error.
Status CheckAllocated(Pool& pool, const SliceRunner& run_slice);

// Copies the bitmaps, every block of the inode table that holds an inode in use (zeros for the
// others), and every block of the data area in use, slice by slice. When it returns true, all of
// that is durable on the mirror; what `link` fails with is in failure().
// `progress` is told after each slice, in bytes of data blocks.
// What is committed between two slices must reach the mirror as batches: then every block is on the
// mirror, or its patches are in the mirror's journal, or both.
// REQUIRES: the mirror has begun the fill (R7), its data connection is open, and it gets batches.
bool CopyAllocated(Pool& pool, MirrorLink& link, const SliceRunner& run_slice,
                   const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace mirdax
