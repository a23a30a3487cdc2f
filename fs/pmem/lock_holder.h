// SPDX-License-Identifier: BSD-2-Clause
// Says who holds a lock, for messages.
#pragma once

#include <string>

namespace mirdax {

// "process 1234 (mount.mirdax)" for the holder of a flock(2) on the file open as `fd`;
// "another process" when it cannot be found.
std::string DescribeLockHolder(int fd);

}  // namespace mirdax
