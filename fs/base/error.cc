// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/error.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace mirdax {
namespace {

struct Row {
  ErrorCode code;
  std::string_view name;
  int error_number;
};

// For FromErrno the first row with the number wins.
constexpr std::array kRows = {
    Row{ErrorCode::kInvalid, "invalid", EINVAL},
    Row{ErrorCode::kNotFound, "not-found", ENOENT},
    Row{ErrorCode::kExists, "exists", EEXIST},
    Row{ErrorCode::kNotDirectory, "not-directory", ENOTDIR},
    Row{ErrorCode::kIsDirectory, "is-directory", EISDIR},
    Row{ErrorCode::kNotEmpty, "not-empty", ENOTEMPTY},
    Row{ErrorCode::kNameTooLong, "name-too-long", ENAMETOOLONG},
    Row{ErrorCode::kTooManyLinks, "too-many-links", EMLINK},
    Row{ErrorCode::kNoSpace, "no-space", ENOSPC},
    Row{ErrorCode::kFileTooBig, "file-too-big", EFBIG},
    Row{ErrorCode::kReadOnly, "read-only", EROFS},
    Row{ErrorCode::kNoData, "no-data", ENODATA},
    Row{ErrorCode::kRange, "range", ERANGE},
    Row{ErrorCode::kPermission, "permission", EPERM},
    Row{ErrorCode::kAccess, "access", EACCES},
    Row{ErrorCode::kBusy, "busy", EBUSY},
    Row{ErrorCode::kNotSupported, "not-supported", EOPNOTSUPP},
    Row{ErrorCode::kNoMemory, "no-memory", ENOMEM},
    Row{ErrorCode::kNoSuchDevice, "no-such-device", ENXIO},
    Row{ErrorCode::kIo, "io", EIO},
    Row{ErrorCode::kCorrupt, "corrupt", EIO},
    Row{ErrorCode::kIncompatible, "incompatible", EIO},
    Row{ErrorCode::kPeerLost, "peer-lost", EIO},
    Row{ErrorCode::kTimedOut, "timed-out", ETIMEDOUT},
    Row{ErrorCode::kAuthFailed, "auth-failed", EACCES},
    Row{ErrorCode::kStale, "stale", EROFS},
    Row{ErrorCode::kShutdown, "shutdown", EIO},
};

}  // namespace

std::string_view ErrorCodeName(ErrorCode code) noexcept {
  for (const Row& row : kRows)
    if (row.code == code) return row.name;
  return "unknown";
}

Error FromErrno(int error_number, std::string_view what) {
  ErrorCode code = ErrorCode::kIo;
  for (const Row& row : kRows) {
    if (row.error_number == error_number) {
      code = row.code;
      break;
    }
  }
  std::array<char, 128> text{};
  const char* reason = strerror_r(error_number, text.data(), text.size());
  return Error{code, fmt::format("{}: {}", what, reason)};
}

int ToErrno(ErrorCode code) noexcept {
  for (const Row& row : kRows)
    if (row.code == code) return row.error_number;
  return EIO;
}

}  // namespace mirdax
