// SPDX-License-Identifier: BSD-2-Clause
// Requests about the bytes of files.
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "fs/fuse/handlers.h"

namespace mirdax::fuse {
namespace {

// libfuse adds one vector for the reply's header.
constexpr size_t kMaxVectors = IOV_MAX - 2;
constexpr size_t kVectorsOnStack = 32;

// A copy may take at most this much of a worker's time; the caller goes on where it ended.
constexpr uint64_t kMaxCopyBytes = 128ULL << 20;

iovec ToVector(std::span<const std::byte> bytes) {
  return iovec{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
}

// Sends spans of PM to the kernel: its copy into the reader's pages is the only one. Where the
// medium refuses some of them, the kernel answers the reader with EIO itself.
void ReplySpans(fuse_req_t request, std::span<const std::span<const std::byte>> spans) {
  static_assert(Volume::kMostSpans <= kMaxVectors);
  std::array<iovec, kVectorsOnStack> few{};
  std::vector<iovec> many(spans.size() <= few.size() ? 0 : spans.size());
  iovec* const vectors = many.empty() ? few.data() : many.data();
  std::transform(spans.begin(), spans.end(), vectors, ToVector);
  if (fuse_reply_iov(request, vectors, static_cast<int>(spans.size())) != -EFAULT) return;
  for (const std::span<const std::byte> span : spans) FindBad(span);
}

// Where the kernel leaves it to us: a change by anyone but root takes set-id bits away.
Status ClearSetIds(fuse_req_t request, Front& front, fuse_ino_t ino) {
  if (!front.kill_privileges || fuse_req_ctx(request)->uid == 0) return {};
  MIRDAX_ASSIGN(const Attributes before, front.volume.GetAttributes(ino));
  const uint32_t cleared = WithoutSetIds(request, before);
  if (cleared == before.mode) return {};
  AttributeChange change;
  change.mode = cleared & 07777U;
  MIRDAX_TRY(front.volume.SetAttributes(ino, change));
  return {};
}

// Invariant (design.md, section 2): an O_SYNC or O_DSYNC write is durable when it is acknowledged.
// With direct_io, and after an asynchronous O_DIRECT write, the kernel sends no FSYNC for it;
// otherwise it does.
Status SyncWrite(Front& front, fuse_ino_t ino, int open_flags) {
  if ((open_flags & O_DSYNC) == 0) return {};
  if (!front.direct_io && (open_flags & O_DIRECT) == 0) return {};
  return front.volume.Fsync(ino, (open_flags & O_SYNC) != O_SYNC);
}

// The same for a copy, after which the kernel never sends FSYNC. What may have been opened with
// O_SYNC is taken for it.
Status SyncCopy(Front& front, fuse_ino_t ino, uint64_t handle) {
  if ((handle & kHandleHasFlags) != 0 && (handle & O_DSYNC) == 0) return {};
  const bool data_only = (handle & kHandleHasFlags) != 0 && (handle & O_SYNC) != O_SYNC;
  return front.volume.Fsync(ino, data_only);
}

Result<AllocateMode> ToAllocateMode(int mode) {
  switch (mode) {
    case 0:
      return AllocateMode::kAllocate;
    case FALLOC_FL_KEEP_SIZE:
      return AllocateMode::kAllocateKeepSize;
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      return AllocateMode::kPunchHole;
    case FALLOC_FL_ZERO_RANGE:
      return AllocateMode::kZeroRange;
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      return AllocateMode::kZeroRangeKeepSize;
    default:
      return Fail(ErrorCode::kNotSupported);
  }
}

}  // namespace

void Open(fuse_req_t request, fuse_ino_t /*ino*/, fuse_file_info* file) {
  const Front& front = FrontOf(request);
  if (!front.direct_io) {
    // Nothing to do at open and close: the kernel need not ask again (FUSE_CAP_NO_OPEN_SUPPORT),
    // and keeps cached pages. The open flags come with every WRITE.
    fuse_reply_err(request, ENOSYS);
    return;
  }
  file->fh = HandleOf(file->flags);
  file->direct_io = 1;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 15)
  file->parallel_direct_writes = 1;
#endif
  fuse_reply_open(request, file);
}

void Read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* /*file*/) {
  Answer(request, [&](Front& front) -> Status {
    return front.volume.Read(ino, static_cast<uint64_t>(offset), size,
                             [&](auto spans) { ReplySpans(request, spans); });
  });
}

void Write(fuse_req_t request, fuse_ino_t ino, const char* bytes, size_t size, off_t offset,
           fuse_file_info* file) {
  Answer(request, [&](Front& front) -> Status {
    // writepage: the kernel's own write-back of pages that were written through a mapping.
    if (file->writepage == 0) MIRDAX_TRY(ClearSetIds(request, front, ino));
    MIRDAX_ASSIGN(const uint64_t written,
                  front.volume.Write(ino, static_cast<uint64_t>(offset),
                                     std::as_bytes(std::span(bytes, size))));
    MIRDAX_TRY(SyncWrite(front, ino, file->flags));
    fuse_reply_write(request, written);
    return {};
  });
}

void Fsync(fuse_req_t request, fuse_ino_t ino, int data_only, fuse_file_info* /*file*/) {
  AnswerStatus(request, [&](Front& front) { return front.volume.Fsync(ino, data_only != 0); });
}

void Allocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
              fuse_file_info* /*file*/) {
  AnswerStatus(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const AllocateMode how, ToAllocateMode(mode));
    if (offset < 0 || length <= 0) return Fail(ErrorCode::kInvalid);
    MIRDAX_TRY(ClearSetIds(request, front, ino));
    return front.volume.Allocate(ino, how, static_cast<uint64_t>(offset),
                                 static_cast<uint64_t>(length));
  });
}

void Seek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, fuse_file_info* /*file*/) {
  if (FrontOf(request).writeback) {
    // The kernel asks without flushing first: what it still holds would look like a hole, and cp
    // would lose it. Without our answer it takes the whole file for data.
    fuse_reply_err(request, ENOSYS);
    return;
  }
  Answer(request, [&](Front& front) -> Status {
    if (whence != SEEK_DATA && whence != SEEK_HOLE) return Fail(ErrorCode::kInvalid);
    if (offset < 0) return Fail(ErrorCode::kNoSuchDevice);
    MIRDAX_ASSIGN(const uint64_t found,
                  front.volume.Seek(ino, static_cast<uint64_t>(offset),
                                    whence == SEEK_DATA ? SeekTo::kData : SeekTo::kHole));
    fuse_reply_lseek(request, static_cast<off_t>(found));
    return {};
  });
}

void CopyRange(fuse_req_t request, fuse_ino_t from, off_t from_offset,
               fuse_file_info* /*from_file*/, fuse_ino_t to, off_t to_offset,
               fuse_file_info* to_file, size_t length, int flags) {
  Answer(request, [&](Front& front) -> Status {
    if (flags != 0 || from_offset < 0 || to_offset < 0) return Fail(ErrorCode::kInvalid);
    MIRDAX_TRY(ClearSetIds(request, front, to));
    MIRDAX_ASSIGN(const uint64_t copied,
                  front.volume.CopyRange(from, static_cast<uint64_t>(from_offset), to,
                                         static_cast<uint64_t>(to_offset),
                                         std::min<uint64_t>(length, kMaxCopyBytes)));
    MIRDAX_TRY(SyncCopy(front, to, to_file->fh));
    fuse_reply_write(request, copied);
    return {};
  });
}

}  // namespace mirdax::fuse
