// SPDX-License-Identifier: BSD-2-Clause
// What an update of an A/B pair leaves when it was cut off.
#pragma once

#include <cstddef>

#include "fs/base/result.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

// Called before a slot is written. An update that a power cut tore, or whose drain failed, is no
// part of the pool's story; but lines of the next update, where they hold the same bytes, could
// complete it if that one is torn too, and it would count. So its checksum, which is in one of the
// first two words of every slot, goes first. A slot that is `old`, valid and older than the current
// one, needs nothing.
inline Status ForgetTorn(Region& region, uint64_t slot_offset, bool old) {
  static_assert(offsetof(PrivateBlock, crc) < 16 && offsetof(Superblock, crc) < 16);
  constexpr uint64_t kWord = sizeof(uint64_t);
  const bool empty =
      region.As<uint64_t>(slot_offset) == 0 && region.As<uint64_t>(slot_offset + kWord) == 0;
  if (old || empty) return {};
  region.Store64(slot_offset, 0);
  region.Store64(slot_offset + kWord, 0);
  return region.Persist(slot_offset, kLineSize);
}

}  // namespace mirdax
