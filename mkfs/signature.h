// SPDX-License-Identifier: BSD-2-Clause
// What lies in a file or device that is about to be formatted.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "fs/base/result.h"

namespace mirdax {

// A few words on the filesystem, RAID or partition table that libblkid recognises in the file open
// as `fd`: "a filesystem of type ext4 (label 'x')". Empty when it recognises nothing.
Result<std::string> FindForeignSignature(int fd);
// The same for the start of a device that has no read(2) (devdax).
Result<std::string> FindForeignSignatureIn(std::span<const std::byte> start);

// Erases every signature that libblkid recognises. REQUIRES: `fd` is open for writing.
Status WipeForeignSignatures(int fd);

// "a mirdax pool (label 'x', set UUID)", "a blank mirdax mirror", "a damaged mirdax pool"; empty
// when `start` (at least 8 KiB) holds none.
std::string FindPool(std::span<const std::byte> start);

}  // namespace mirdax
