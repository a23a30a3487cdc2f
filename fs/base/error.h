// SPDX-License-Identifier: BSD-2-Clause
// Error values: what went wrong, and in words, what the caller or the user can do about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mirdax {

// Few codes; each says what the caller does next. errno enters through FromErrno() and leaves
// through ToErrno(), nowhere else.
enum class ErrorCode : uint8_t {
  kInvalid,       // the argument makes no sense: EINVAL
  kNotFound,      // no such name or inode: ENOENT
  kExists,        // the name is taken: EEXIST
  kNotDirectory,  // ENOTDIR
  kIsDirectory,   // EISDIR
  kNotEmpty,      // ENOTEMPTY
  kNameTooLong,   // ENAMETOOLONG
  kTooManyLinks,  // EMLINK
  kNoSpace,       // no free block or inode: ENOSPC
  kFileTooBig,    // EFBIG
  kReadOnly,      // mounted read-only, or turned read-only after an error: EROFS
  kNoData,        // no such attribute: ENODATA
  kRange,         // the caller's buffer is too small: ERANGE
  kPermission,    // EPERM
  kAccess,        // EACCES
  kBusy,          // in use by another process (a locked pool): EBUSY
  kNotSupported,  // EOPNOTSUPP
  kNoMemory,      // ENOMEM
  kNoSuchDevice,  // lseek past the end, ENXIO
  kIo,            // the medium failed; the operation may be tried again: EIO
  kCorrupt,       // bytes on the medium are not what the format allows: EIO, run fsck.mirdax
  kIncompatible,  // a newer or foreign format or protocol: EIO
  kPeerLost,      // the connection is gone: reconnect
  kTimedOut,      // outcome unknown: resync before reuse
  kAuthFailed,    // the peer does not hold our key: EACCES
  kStale,         // the peer has seen a higher epoch: stop writing
  kShutdown,      // the filesystem stopped after an error that it could not undo: EIO
};

struct [[nodiscard]] Error {
  ErrorCode code;
  std::string message;  // empty on paths where the code says it all (lookup of an absent name)
};

// Name of the code for logs and JSON: "kNoSpace" is "no-space".
std::string_view ErrorCodeName(ErrorCode code) noexcept;

// The one place where errno enters. `what` says what was tried, on what.
Error FromErrno(int error_number, std::string_view what);

// The one place where an errno leaves (the FUSE reply, a test). Always positive.
int ToErrno(ErrorCode code) noexcept;

}  // namespace mirdax
