// SPDX-License-Identifier: BSD-2-Clause
// With which errors a system call may fail when a fault strikes, as its manual page has it.
#pragma once

#include "fs/base/error.h"
#include "tests/crash/workload.h"

namespace mirdax::crash {

// Whether the call that `operation` stands for may fail with the errno of `code` for a reason that
// lies in the machine: ENOMEM, ENOSPC, EIO. From the ERRORS sections of the manual pages (section
// 2). EIO is every call's (POSIX, XSH 2.3, lets a call fail for more reasons than its page has, and
// every Linux filesystem that stopped answers so); ENOMEM is that of every call that allocates, but
// not of fsync and msync, where it means another thing.
bool MayFailWith(const Operation& operation, ErrorCode code) noexcept;

}  // namespace mirdax::crash
