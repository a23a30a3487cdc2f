// SPDX-License-Identifier: BSD-2-Clause
// The FUSE front: what the handlers of kernel requests share.
#pragma once

#include <functional>

#include "fs/base/clock.h"
#include "fs/core/volume.h"

struct fuse_lowlevel_ops;

namespace mirdax {

// Passed to libfuse as its user data; outlives the session.
//
// Invariants:
//  I1 an inode's lookup count in the volume equals what the kernel holds: a count taken for a reply
//     that the kernel did not take is given back at once.
//  I2 every request is answered exactly once, with an errno from ToErrno() when it fails.
//  I3 no exception reaches libfuse: out of memory is ENOMEM.
//  I4 (R10) a handler never opens, stats or resolves anything inside the mount.
//
// Threads: immutable once INIT, the first request, is answered.
struct Front {
  Volume& volume;
  Clock& clock;
  bool direct_io = false;          // every file goes around the kernel's page cache
  bool writeback = false;          // the kernel caches writes
  std::function<void()> on_ready;  // the kernel has asked for the connection
  // The kernel leaves set-id bits of written and truncated files to us.
  bool kill_privileges = false;
  bool init_unanswered = true;
};

// The table of handlers: static, immutable.
const fuse_lowlevel_ops& Operations();

}  // namespace mirdax
