// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/superblock_pair.h"

#include "fs/format/checksums.h"
#include "fs/format/sequence.h"
#include "fs/format/superblock.h"
#include "fs/pmem/torn_slot.h"

namespace mirdax {
namespace {

ConstBlockSpan SlotBytes(Region& region, size_t slot) {
  return ConstBlockSpan(region.At(kSuperblockOffset + slot * kBlockSize, kBlockSize), kBlockSize);
}

Result<Geometry> GeometryFor(const Superblock& superblock, uint64_t region_size) {
  if (superblock.pool_size > region_size)
    return Fail(ErrorCode::kCorrupt,
                "the pool has {} bytes, but its superblock says {}; it was truncated, or copied "
                "in part",
                region_size, superblock.pool_size);
  if ((superblock.incompat & kIncompatBlank) != 0) return Geometry{};
  return GeometryOf(superblock);
}

}  // namespace

Result<SuperblockPair> SuperblockPair::Load(Region& region) {
  if (region.size() < kDynamicAreaOffset)
    return Fail(ErrorCode::kCorrupt, "{} bytes are too few for a pool", region.size());
  const auto choice = ChooseSuperblock(SlotBytes(region, 0), SlotBytes(region, 1));
  MIRDAX_TRY(region.CheckGood(kSuperblockOffset, 2 * kBlockSize));  // it may be the newer one
  if (!choice) return Fail(choice.error());
  SuperblockPair pair;
  pair.current_ = choice->superblock;
  pair.slot_ = choice->slot;
  MIRDAX_ASSIGN(pair.geometry_, GeometryFor(pair.current_, region.size()));
  return pair;
}

Status SuperblockPair::Store(Region& region, Superblock next) {
  next.sequence = NextSequence(current_.sequence);
  Seal(next);
  MIRDAX_TRY(DecodeSuperblock(BytesOf(next)));
  MIRDAX_ASSIGN(const Geometry geometry, GeometryFor(next, region.size()));
  const size_t slot = 1 - slot_;
  const uint64_t offset = kSuperblockOffset + slot * kBlockSize;
  const auto there = DecodeSuperblock(SlotBytes(region, slot));
  MIRDAX_TRY(ForgetTorn(region, offset, there && !IsNewer(there->sequence, current_.sequence)));
  region.Write(offset, BytesOf(next));
  MIRDAX_TRY(region.Persist(offset, kBlockSize));
  current_ = next;
  geometry_ = geometry;
  slot_ = slot;
  return {};
}

}  // namespace mirdax
