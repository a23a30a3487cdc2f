// SPDX-License-Identifier: BSD-2-Clause
#include "tools/fsck/owners.h"

#include <algorithm>
#include <bit>

#include "fs/base/check.h"

namespace mirdax::fsck {

std::optional<BlockNo> BlockOwners::Claim(BlockNo block, uint64_t count) {
  MIRDAX_CHECK(block >= first_ && block - first_ <= count_ && count <= count_ - (block - first_));
  std::optional<BlockNo> conflict;
  uint64_t at = block - first_;
  const uint64_t end = at + count;
  while (at < end) {
    const uint64_t in_word = std::min<uint64_t>(64 - at % 64, end - at);
    const uint64_t mask = (in_word == 64 ? ~uint64_t{0} : (uint64_t{1} << in_word) - 1)
                          << (at % 64);
    uint64_t& word = words_[at / 64];
    if (const uint64_t twice = word & mask; twice != 0) {
      if (!conflict) {
        conflict = first_ + at / 64 * 64 + static_cast<unsigned>(std::countr_zero(twice));
      }
      if (conflict_budget_ == 0) return conflict;
      --conflict_budget_;
    }
    owned_ += static_cast<unsigned>(std::popcount(mask & ~word));
    word |= mask;
    at += in_word;
  }
  return conflict;
}

}  // namespace mirdax::fsck
