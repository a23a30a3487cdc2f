// SPDX-License-Identifier: BSD-2-Clause
// Which blocks of the data area somebody owns: one bit each.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fs/format/layout.h"

namespace mirdax::fsck {

class BlockOwners {
 public:
  BlockOwners(BlockNo first, uint64_t count)
      : first_(first), count_(count), words_((count + 63) / 64) {}

  // Marks [block, block + count). Returns the first block that was owned before, if any; then what
  // follows it stays as it was once the budget for such conflicts is used up, so that a hostile
  // pool cannot make this quadratic. REQUIRES: the range lies in the data area.
  std::optional<BlockNo> Claim(BlockNo block, uint64_t count);

  uint64_t owned() const noexcept { return owned_; }
  // 64 blocks from data block 64 * i on.
  uint64_t word(uint64_t i) const noexcept { return words_[i]; }

 private:
  BlockNo first_;
  uint64_t count_;
  uint64_t owned_ = 0;
  uint64_t conflict_budget_ = uint64_t{1} << 24;  // words
  std::vector<uint64_t> words_;
};

}  // namespace mirdax::fsck
