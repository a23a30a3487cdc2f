// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/file_operations.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace mirdax {
namespace {

constexpr uint64_t kCopyChunk = uint64_t{1} << 20;
constexpr uint64_t kCopyAtMost = uint64_t{1} << 30;  // of one call: the caller comes again

}  // namespace

Status CheckRegular(const Inode& inode) {
  if (inode.freed) return Fail(ErrorCode::kNotFound);
  if (IsDirectory(inode.disk)) return Fail(ErrorCode::kIsDirectory);
  if (!IsRegular(inode.disk)) return Fail(ErrorCode::kInvalid);
  return {};
}

Status FileOperations::Read(Ino ino, uint64_t offset, uint64_t length, const Volume::Reply& reply) {
  const uint64_t losses = volume_.losses();
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  {
    ReadLock lock(inode->mutex);
    MIRDAX_TRY(CheckRegular(*inode));
    MIRDAX_ASSIGN(const auto spans, reader_.Spans(*inode, offset, length));
    MIRDAX_TRY(volume_.CheckMedium(losses));
    if (spans.size() <= Volume::kMostSpans) {
      reply(spans);
    } else {
      std::vector<std::byte> bytes(std::min(length, inode->size - offset));
      MIRDAX_ASSIGN(const uint64_t copied, reader_.Copy(*inode, offset, bytes));
      const std::span<const std::byte> all(bytes.data(), copied);
      MIRDAX_TRY(volume_.CheckMedium(losses));
      reply({&all, 1});
    }
  }
  reader_.Accessed(*inode);
  return {};
}

Result<FileOperations::Written> FileOperations::WriteAt(Ino ino, std::optional<uint64_t> offset,
                                                        std::span<const std::byte> bytes) {
  MIRDAX_TRY(volume_.CheckWritable());
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  Written written;
  const Status done = volume_.Retry([&]() -> Status {
    WriteLock lock(inode->mutex);
    MIRDAX_TRY(CheckRegular(*inode));
    MIRDAX_TRY(space_.FinishTrim(*inode));
    written.offset = offset.value_or(inode->size);
    MIRDAX_ASSIGN(written.length, writer_.Write(*inode, written.offset, bytes));
    return {};
  });
  MIRDAX_TRY(done);
  if (volume_.options.sync_always) {
    MIRDAX_TRY(syncer_.Sync(ino, false));
  } else {
    // The bytes are accepted; if making them durable fails, the next sync of the file says so.
    (void)syncer_.Throttle(ino);
  }
  return written;
}

Result<uint64_t> FileOperations::Write(Ino ino, uint64_t offset, std::span<const std::byte> bytes) {
  MIRDAX_ASSIGN(const Written written, WriteAt(ino, offset, bytes));
  return written.length;
}

Result<uint64_t> FileOperations::Append(Ino ino, std::span<const std::byte> bytes) {
  MIRDAX_ASSIGN(const Written written, WriteAt(ino, std::nullopt, bytes));
  return written.offset;
}

Status FileOperations::Allocate(Ino ino, AllocateMode mode, uint64_t offset, uint64_t length) {
  MIRDAX_TRY(volume_.CheckWritable());
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  const Status done = volume_.Retry([&]() -> Status {
    WriteLock lock(inode->mutex);
    MIRDAX_TRY(CheckRegular(*inode));
    return space_.Allocate(*inode, mode, offset, length);
  });
  MIRDAX_TRY(done);
  if (volume_.options.sync_always) return syncer_.Sync(ino, false);
  return {};
}

Result<uint64_t> FileOperations::Seek(Ino ino, uint64_t offset, SeekTo to) {
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  ReadLock lock(inode->mutex);
  MIRDAX_TRY(CheckRegular(*inode));
  return reader_.Seek(*inode, offset, to);
}

Result<std::vector<AllocatedRun>> FileOperations::Allocated(Ino ino) {
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  ReadLock lock(inode->mutex);
  MIRDAX_TRY(CheckRegular(*inode));
  return reader_.Allocated(*inode);
}

Result<uint64_t> FileOperations::Copy(Ino ino, uint64_t offset, std::span<std::byte> out) {
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  uint64_t copied = 0;
  {
    ReadLock lock(inode->mutex);
    MIRDAX_TRY(CheckRegular(*inode));
    MIRDAX_ASSIGN(copied, reader_.Copy(*inode, offset, out));
    MIRDAX_TRY(volume_.CheckMetadata());
  }
  reader_.Accessed(*inode);
  return copied;
}

Result<uint64_t> FileOperations::SizeOf(Ino ino) {
  MIRDAX_ASSIGN(const InodeRef inode, volume_.Get(ino));
  ReadLock lock(inode->mutex);
  MIRDAX_TRY(CheckRegular(*inode));
  return inode->size;
}

Result<uint64_t> FileOperations::CopyRange(Ino from, uint64_t from_offset, Ino to,
                                           uint64_t to_offset, uint64_t length) {
  MIRDAX_TRY(volume_.CheckWritable());
  length = std::min(length, kCopyAtMost);
  if (from == to && from_offset < to_offset + length && to_offset < from_offset + length) {
    return Fail(ErrorCode::kInvalid);
  }
  // The end of the source is where it is now: a copy within one file may move it.
  MIRDAX_ASSIGN(const uint64_t source_size, SizeOf(from));
  length = from_offset < source_size ? std::min(length, source_size - from_offset) : 0;
  std::vector<std::byte> chunk(std::min(length, kCopyChunk));
  uint64_t copied = 0;
  while (copied < length) {
    const uint64_t want = std::min<uint64_t>(chunk.size(), length - copied);
    const Result<uint64_t> filled = Copy(from, from_offset + copied, std::span(chunk).first(want));
    if (!filled && copied > 0) break;
    if (!filled) return Fail(filled.error());
    if (*filled == 0) break;
    const Result<uint64_t> stored = Write(to, to_offset + copied, std::span(chunk).first(*filled));
    if (!stored) {
      if (copied > 0) break;  // a short copy; the caller comes again and gets the error
      return Fail(stored.error());
    }
    copied += *stored;
    if (*stored < *filled) break;
  }
  return copied;
}

}  // namespace mirdax
