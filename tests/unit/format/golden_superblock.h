// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "fs/format/checksums.h"
#include "fs/format/geometry.h"
#include "fs/format/superblock.h"

namespace mirdax::test {

// A valid superblock, always the same, of a 64 MiB pool.
inline Superblock GoldenSuperblock(uint64_t sequence = 1) {
  Superblock sb{};
  sb.magic = kSuperblockMagic;
  sb.version = kFormatVersion;
  sb.sequence = sequence;
  for (uint8_t i = 0; i < 16; ++i) {
    sb.set_uuid[i] = static_cast<uint8_t>(i + 1);
    sb.hash_seed[i] = static_cast<uint8_t>(0xf0 + i);
  }
  SetLabel(sb, "golden");
  StoreGeometry(*ComputeGeometry(uint64_t{64} << 20, {}), sb);
  sb.created_seconds = 1'700'000'000;
  Seal(sb);
  return sb;
}

}  // namespace mirdax::test
