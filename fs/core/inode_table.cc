// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/inode_table.h"

#include <cstring>

#include "fs/base/check.h"
#include "fs/format/checksums.h"
#include "fs/format/node_views.h"

namespace mirdax {
namespace {

struct SlotPlace {
  BlockNo block;
  uint64_t offset;  // in the block
};

SlotPlace PlaceOf(const Geometry& geometry, Ino ino) noexcept {
  const uint64_t at = geometry.InodeOffset(ino);
  return {at / kBlockSize, at % kBlockSize};
}

Status CheckRange(const Geometry& geometry, Ino ino) {
  if (ino == 0 || ino >= geometry.inode_count) return Fail(ErrorCode::kNotFound);
  return {};
}

// Stores the lines of `inode` that differ from the slot's.
Status StoreLines(Tx& tx, Ino ino, const InodeDisk& inode) {
  const SlotPlace place = PlaceOf(tx.reader().geometry(), ino);
  MIRDAX_ASSIGN(const BlockView view, tx.reader().Read(place.block, BlockKind::kInodes));
  const auto* to = reinterpret_cast<const std::byte*>(&inode);
  for (uint64_t at = 0; at < kInodeSize; at += kLineSize) {
    if (std::memcmp(view.data() + place.offset + at, to + at, kLineSize) == 0) continue;
    MIRDAX_ASSIGN(std::byte * bytes,
                  tx.Modify(place.block, BlockKind::kInodes, place.offset + at, kLineSize));
    std::memcpy(bytes + place.offset + at, to + at, kLineSize);
  }
  return {};
}

}  // namespace

Result<InodeDisk> InodeTable::Read(Ino ino) const {
  MIRDAX_TRY(CheckRange(reader_.geometry(), ino));
  const SlotPlace place = PlaceOf(reader_.geometry(), ino);
  MIRDAX_ASSIGN(const BlockView view, reader_.Read(place.block, BlockKind::kInodes));
  InodeDisk inode;
  std::memcpy(&inode, view.data() + place.offset, sizeof(inode));
  if (inode.magic == kInodeMagic && !IsSealed(inode))
    return Fail(ErrorCode::kCorrupt, "inode {}: its checksum is wrong", ino);
  MIRDAX_TRY(CheckInode(inode, ino, reader_.geometry()));
  return inode;
}

Status InodeTable::Write(Tx& tx, const InodeDisk& inode) const {
  MIRDAX_CHECK(inode.ino != 0 && inode.ino < reader_.geometry().inode_count);
  InodeDisk sealed = inode;
  sealed.magic = kInodeMagic;
  Seal(sealed);
  return StoreLines(tx, inode.ino, sealed);
}

Status InodeTable::Clear(Tx& tx, Ino ino) const {
  MIRDAX_ASSIGN(const uint32_t generation, Generation(ino));
  InodeDisk empty{};
  empty.generation = generation;
  return StoreLines(tx, ino, empty);
}

Result<uint32_t> InodeTable::Generation(Ino ino) const {
  MIRDAX_TRY(CheckRange(reader_.geometry(), ino));
  const SlotPlace place = PlaceOf(reader_.geometry(), ino);
  MIRDAX_ASSIGN(const BlockView view, reader_.Read(place.block, BlockKind::kInodes));
  return view.As<InodeDisk>(place.offset).generation;
}

}  // namespace mirdax
