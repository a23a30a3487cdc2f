// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/manual_pages.h"

#include <cerrno>

namespace mirdax::crash {
namespace {

bool HasNoSpace(const Operation& operation) noexcept {
  switch (operation.kind) {
    case OpKind::kCreate:  // open
    case OpKind::kMkdir:
    case OpKind::kMknod:
    case OpKind::kSymlink:
    case OpKind::kLink:
    case OpKind::kRename:
    case OpKind::kWrite:
    case OpKind::kAppend:
    case OpKind::kMmapStore:  // the write of its page
    case OpKind::kFallocate:
    case OpKind::kPunch:  // fallocate
    case OpKind::kZero:
    case OpKind::kCopy:
    case OpKind::kSetXattr:
    case OpKind::kTmpfile:  // open
    case OpKind::kFsync:
    case OpKind::kFdatasync:
    case OpKind::kMsync:  // reaches the filesystem as fdatasync
    case OpKind::kFsyncDir:
    case OpKind::kSyncAll:  // syncfs
    case OpKind::kTick:     // no system call
    case OpKind::kUnmount:
      return true;
    case OpKind::kTruncate:
    case OpKind::kUnlink:
    case OpKind::kRmdir:
    case OpKind::kRemoveXattr:
    case OpKind::kChmod:
    case OpKind::kChown:
    case OpKind::kUtimens:
    case OpKind::kOpen:
    case OpKind::kClose:
      return false;
  }
  return false;
}

bool HasNoMemory(const Operation& operation) noexcept {
  switch (operation.kind) {
    case OpKind::kFsync:
    case OpKind::kFdatasync:
    case OpKind::kMsync:
    case OpKind::kFsyncDir:
    case OpKind::kClose:
      return false;
    default:
      return true;
  }
}

}  // namespace

bool MayFailWith(const Operation& operation, ErrorCode code) noexcept {
  switch (ToErrno(code)) {
    case EIO:
      return true;
    case ENOSPC:
      return HasNoSpace(operation);
    case ENOMEM:
      return HasNoMemory(operation);
    default:
      return false;
  }
}

}  // namespace mirdax::crash
