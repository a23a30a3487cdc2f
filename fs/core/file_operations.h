// SPDX-License-Identifier: BSD-2-Clause
// The data calls of a volume: locks, checks and retries around FileReader, FileWriter, FileSpace.
#pragma once

#include <span>

#include "fs/core/file_reader.h"
#include "fs/core/file_space.h"
#include "fs/core/file_writer.h"
#include "fs/core/syncer.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// See Volume for what each call does. Threads: every method by any.
class FileOperations {
 public:
  FileOperations(VolumeContext& volume, FileWriter& writer, FileSpace& space, Syncer& syncer)
      : volume_(volume), reader_(volume), writer_(writer), space_(space), syncer_(syncer) {}

  Status Read(Ino ino, uint64_t offset, uint64_t length, const Volume::Reply& reply);
  Result<uint64_t> Write(Ino ino, uint64_t offset, std::span<const std::byte> bytes);
  Result<uint64_t> Append(Ino ino, std::span<const std::byte> bytes);
  Status Allocate(Ino ino, AllocateMode mode, uint64_t offset, uint64_t length);
  Result<uint64_t> Seek(Ino ino, uint64_t offset, SeekTo to);
  Result<std::vector<AllocatedRun>> Allocated(Ino ino);
  Result<uint64_t> CopyRange(Ino from, uint64_t from_offset, Ino to, uint64_t to_offset,
                             uint64_t length);
  FileReader& reader() noexcept { return reader_; }

 private:
  // Writes at `offset`, or at the end of file; returns where and how much.
  struct Written {
    uint64_t offset = 0;
    uint64_t length = 0;
  };
  Result<Written> WriteAt(Ino ino, std::optional<uint64_t> offset,
                          std::span<const std::byte> bytes);
  Result<uint64_t> SizeOf(Ino ino);  // of a regular file
  Result<uint64_t> Copy(Ino ino, uint64_t offset, std::span<std::byte> out);

  VolumeContext& volume_;
  FileReader reader_;
  FileWriter& writer_;
  FileSpace& space_;
  Syncer& syncer_;
};

// What a call on data finds wrong with the inode, if anything.
Status CheckRegular(const Inode& inode) MIRDAX_REQUIRES_SHARED(inode.mutex);

}  // namespace mirdax
