// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>
#include <sys/stat.h>

#include "fs/format/checksums.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {

bool IsAllZero(std::span<const std::byte> bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

uint8_t TypeOfMode(uint32_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
      return static_cast<uint8_t>(IFTODT(mode));
    default:
      return DT_UNKNOWN;
  }
}

bool ClaimNode(CheckContext& context, Ino ino, BlockNo block) {
  if (!context.geometry.IsDataRange(block, 1)) {
    context.Add(FindingCode::kNodeOutsideData,
                fmt::format("inode {} has a node at block {}, outside the data area", ino, block),
                ino);
    return false;
  }
  if (context.owners->Claim(block, 1)) {
    context.Add(
        FindingCode::kBlockOwnedTwice,
        fmt::format("block {}, a node of inode {}, has another owner or is met twice", block, ino),
        ino, block);
    return false;
  }
  if (!IsSealedBlock(context.Block(block))) {
    context.Add(FindingCode::kNodeChecksumBad,
                fmt::format("block {} of inode {}: the checksum does not match", block, ino), ino,
                block);
  }
  return true;
}

}  // namespace mirdax::fsck
