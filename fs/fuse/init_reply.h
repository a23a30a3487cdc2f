// SPDX-License-Identifier: BSD-2-Clause
// Asks the kernel for two things that libfuse before 3.17 cannot ask for, by completing its answer
// to the INIT request:
//  - FUSE_HANDLE_KILLPRIV_V2: we clear set-id bits at writes, so that the kernel need not read
//    security.capability before each one. That halves the requests of a small write.
//  - FUSE_DIRECT_IO_ALLOW_MMAP: shared mappings on a direct_io mount (Linux 6.6).
// Kernels that do not know them ignore them.
#pragma once

#include <sys/uio.h>

#include <span>

#include "fs/base/result.h"

struct fuse_session;

namespace mirdax {

// Adds the flags to the reply to INIT in `reply` (header, body). Returns false, and changes
// nothing, when the body is too short to be one.
bool CompleteInitReply(std::span<iovec> reply, bool allow_mmap);

// Puts the above between libfuse and the kernel. REQUIRES: mounted; the session's user data is a
// Front that outlives it. Nothing to do where libfuse knows the flags.
Status InterceptInitReply(fuse_session* session);

}  // namespace mirdax
