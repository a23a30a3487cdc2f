// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/orphan_list.h"

#include <bit>
#include <cstring>

#include "fs/base/check.h"

namespace mirdax {
namespace {

constexpr uint64_t kBitsPerBlock = kBlockSize * 8;
constexpr uint64_t kBitsPerWord = 64;

BlockNo BlockOf(const Geometry& geometry, Ino ino) noexcept {
  return geometry.orphan_bitmap.offset / kBlockSize + ino / kBitsPerBlock;
}

uint64_t WordAt(const std::byte* block, uint64_t word) noexcept {
  uint64_t value = 0;
  std::memcpy(&value, block + word * sizeof(value), sizeof(value));
  return value;
}

}  // namespace

Status OrphanList::Add(Tx& tx, InodeDisk& inode) {
  if ((inode.flags & kInodeOrphan) != 0) return {};
  MIRDAX_TRY(Store(tx, inode.ino, true));
  inode.flags |= kInodeOrphan;
  return {};
}

Status OrphanList::Remove(Tx& tx, InodeDisk& inode) {
  if ((inode.flags & kInodeOrphan) == 0) return {};
  MIRDAX_TRY(Store(tx, inode.ino, false));
  inode.flags &= ~kInodeOrphan;
  return {};
}

Status OrphanList::Drop(Tx& tx, Ino ino) { return Store(tx, ino, false); }

Result<Ino> OrphanList::Next(MetaReader& reader, Ino after) {
  const Geometry& geometry = reader.geometry();
  const MutexLock lock(mutex_);
  for (Ino at = after + 1; at < geometry.inode_count;) {
    MIRDAX_ASSIGN(const BlockView view, reader.Read(BlockOf(geometry, at), BlockKind::kBitmap));
    const Ino block_first = at / kBitsPerBlock * kBitsPerBlock;
    const Ino block_end = block_first + kBitsPerBlock;
    while (at < block_end) {
      const uint64_t word = WordAt(view.data(), (at - block_first) / kBitsPerWord);
      const uint64_t rest = word >> (at % kBitsPerWord);
      if (rest != 0) {
        at += static_cast<uint64_t>(std::countr_zero(rest));
        return at < geometry.inode_count ? at : 0;
      }
      at = (at / kBitsPerWord + 1) * kBitsPerWord;
    }
  }
  return Ino{0};
}

Status OrphanList::Store(Tx& tx, Ino ino, bool value) {
  const Geometry& geometry = tx.reader().geometry();
  MIRDAX_CHECK(ino != 0 && ino < geometry.inode_count);
  const uint64_t byte = ino % kBitsPerBlock / 8;
  const auto bit = static_cast<std::byte>(1U << (ino % 8));
  const MutexLock lock(mutex_);
  MIRDAX_ASSIGN(std::byte * bytes, tx.Modify(BlockOf(geometry, ino), BlockKind::kBitmap, byte, 1));
  bytes[byte] = value ? bytes[byte] | bit : bytes[byte] & ~bit;
  return {};
}

}  // namespace mirdax
