// SPDX-License-Identifier: BSD-2-Clause
#include "mkfs/file_zeros.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mirdax {
namespace {

bool Deallocate(int fd, off_t begin, off_t length) {
  return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, begin, length) == 0 ||
         fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin, length) == 0;
}

}  // namespace

Status ZeroFileRange(int fd, Region& region, PoolRange range) {
  const auto end = static_cast<off_t>(range.end());
  for (auto at = static_cast<off_t>(range.offset); at < end;) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    if (data < 0) data = at;                // a filesystem that cannot tell
    if (data >= end) break;
    off_t hole = lseek(fd, data, SEEK_HOLE);
    hole = hole < 0 ? end : std::min(hole, end);
    if (!Deallocate(fd, data, hole - data))
      region.StreamZeros(static_cast<uint64_t>(data), static_cast<uint64_t>(hole - data));
    at = hole;
  }
  MIRDAX_TRY(region.Drain());
  if (fdatasync(fd) != 0) return Fail(FromErrno(errno, "syncing zeros"));
  return {};
}

}  // namespace mirdax
