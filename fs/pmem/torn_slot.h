// SPDX-License-Identifier: BSD-2-Clause
// What an update of an A/B pair leaves when it was cut off.
#pragma once

#include "fs/base/result.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

// Called before a slot is written. An update that a power cut tore, or whose drain failed, is no
// part of the pool's story; but lines of the next update, where they hold the same bytes, could
// complete it if that one is torn too, and it would count. So its first word, which has the
// checksum, goes first. A slot that is `old`, valid and older than the current one, needs nothing.
inline Status ForgetTorn(Region& region, uint64_t slot_offset, bool old) {
  if (old || region.As<uint64_t>(slot_offset) == 0) return {};
  region.Store64(slot_offset, 0);
  return region.Persist(slot_offset, kLineSize);
}

}  // namespace mirdax
