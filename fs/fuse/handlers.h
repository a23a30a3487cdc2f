// SPDX-License-Identifier: BSD-2-Clause
// Private to fs/fuse: the handlers, and what they have in common.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include <new>
#include <utility>

#include "fs/fuse/operations.h"

namespace mirdax::fuse {

// This kernel is the only writer: what it has cached stays true until it changes it itself. It
// invalidates what its own requests change (links, sizes, times of both parents of a rename).
inline constexpr double kCacheSeconds = 86400;
// With writeback the kernel does not notice that a flush has changed the blocks of a file.
inline constexpr double kWritebackAttributeSeconds = 1;
inline double AttributeSeconds(const Front& front) {
  return front.writeback ? kWritebackAttributeSeconds : kCacheSeconds;
}

inline Front& FrontOf(fuse_req_t request) {
  return *static_cast<Front*>(fuse_req_userdata(request));
}
Caller CallerOf(fuse_req_t request);

// The one place where an error becomes an errno (I2). Logs what an administrator must know of.
void ReplyError(fuse_req_t request, const Error& error);

// Runs `body`, which replies itself when it succeeds, and replies for it when it fails (I2, I3).
// REQUIRES: `body` throws only before it has replied.
template <typename Body>
void Answer(fuse_req_t request, Body&& body) noexcept {
  try {
    if (Status status = std::forward<Body>(body)(FrontOf(request)); !status)
      ReplyError(request, status.error());
  } catch (const std::bad_alloc&) {
    fuse_reply_err(request, ToErrno(ErrorCode::kNoMemory));
  }
}

// For requests whose whole answer is "done".
template <typename Body>
void AnswerStatus(fuse_req_t request, Body&& body) noexcept {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_TRY(body(front));
    fuse_reply_err(request, 0);
    return {};
  });
}

struct stat ToStat(const Front& front, const Attributes& attributes);
fuse_entry_param ToEntry(const Front& front, const Attributes& attributes);
// Answers with a name's inode; takes the lookup count back when the kernel does not take it (I1).
void ReplyEntry(fuse_req_t request, Front& front, const Attributes& attributes);

// Permission bits after a write, truncation, allocation or change of owner, as the kernel's own
// filesystems have them: without set-user-id, and without set-group-id where that means execution,
// or where the caller is neither in the group nor root.
uint32_t WithoutSetIds(fuse_req_t request, const Attributes& before);

// A file's handle is how it was opened: COPY_FILE_RANGE comes with no flags, only with the handle.
// It is 0 where the kernel opened a file without asking us (FUSE_CAP_NO_OPEN_SUPPORT).
inline constexpr uint64_t kHandleHasFlags = uint64_t{1} << 32;
inline uint64_t HandleOf(int open_flags) noexcept {
  return kHandleHasFlags | static_cast<uint32_t>(open_flags);
}

// One function a request; names and arguments are libfuse's.
void Init(void* user_data, fuse_conn_info* connection);

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
void Forget(fuse_req_t request, fuse_ino_t ino, uint64_t count);
void ForgetMulti(fuse_req_t request, size_t count, fuse_forget_data* forgets);
void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev);
void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode);
void MakeSymlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name);
void ReadLink(fuse_req_t request, fuse_ino_t ino);
void Link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t new_parent, const char* new_name);
void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name);
void RemoveDirectory(fuse_req_t request, fuse_ino_t parent, const char* name);
void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned flags);
void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* file);
void OpenTemporary(fuse_req_t request, fuse_ino_t parent, mode_t mode, fuse_file_info* file);

void GetAttributes(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file);
void SetAttributes(fuse_req_t request, fuse_ino_t ino, struct stat* values, int which,
                   fuse_file_info* file);
void StatFilesystem(fuse_req_t request, fuse_ino_t ino);
void SetXattr(fuse_req_t request, fuse_ino_t ino, const char* name, const char* value, size_t size,
              int flags);
void GetXattr(fuse_req_t request, fuse_ino_t ino, const char* name, size_t size);
void ListXattrs(fuse_req_t request, fuse_ino_t ino, size_t size);
void RemoveXattr(fuse_req_t request, fuse_ino_t ino, const char* name);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
void StatExtended(fuse_req_t request, fuse_ino_t ino, int flags, int mask, fuse_file_info* file);
#endif

void Open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file);
void Read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* file);
void Write(fuse_req_t request, fuse_ino_t ino, const char* bytes, size_t size, off_t offset,
           fuse_file_info* file);
void Fsync(fuse_req_t request, fuse_ino_t ino, int data_only, fuse_file_info* file);
void Allocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
              fuse_file_info* file);
void Seek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, fuse_file_info* file);
void CopyRange(fuse_req_t request, fuse_ino_t from, off_t from_offset, fuse_file_info* from_file,
               fuse_ino_t to, off_t to_offset, fuse_file_info* to_file, size_t length, int flags);

void OpenDirectory(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file);
void ReadDirectory(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                   fuse_file_info* file);
void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                       fuse_file_info* file);
void FsyncDirectory(fuse_req_t request, fuse_ino_t ino, int data_only, fuse_file_info* file);

}  // namespace mirdax::fuse
