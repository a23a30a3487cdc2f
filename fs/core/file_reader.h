// SPDX-License-Identifier: BSD-2-Clause
// Reads files in place: spans into PM, zeros for what was never written.
#pragma once

#include <span>
#include <vector>

#include "fs/core/file_map.h"
#include "fs/core/volume_context.h"

namespace mirdax {

// Threads: any. Locks: Spans(), Seek() and Allocated() with the inode's lock held, shared at least.
class FileReader {
 public:
  explicit FileReader(VolumeContext& volume) : volume_(volume) {}

  // The bytes of [offset, offset + length) cut at the end of file; good while the lock is held.
  // kIo when the medium is known to refuse some of them.
  Result<std::vector<std::span<const std::byte>>> Spans(const Inode& inode, uint64_t offset,
                                                        uint64_t length)
      MIRDAX_REQUIRES_SHARED(inode.mutex);

  // Likewise, as a copy; returns how many there were. What the medium refuses only now fails too.
  Result<uint64_t> Copy(const Inode& inode, uint64_t offset, std::span<std::byte> out)
      MIRDAX_REQUIRES_SHARED(inode.mutex);

  // The first byte of data, or of a hole (the end of file counts as one), at or after `offset`.
  // kNoSuchDevice when there is none.
  Result<uint64_t> Seek(const Inode& inode, uint64_t offset, SeekTo to)
      MIRDAX_REQUIRES_SHARED(inode.mutex);
  // As Volume::Allocated().
  Result<std::vector<AllocatedRun>> Allocated(const Inode& inode)
      MIRDAX_REQUIRES_SHARED(inode.mutex);

  // relatime: the access time moves when it is not newer than the last change, or a day old.
  void Accessed(Inode& inode) MIRDAX_EXCLUDES(inode.mutex);

 private:
  VolumeContext& volume_;
};

}  // namespace mirdax
