// SPDX-License-Identifier: BSD-2-Clause
// Reading and checking private blocks. Every byte is taken as hostile (R9).
#pragma once

#include "fs/base/result.h"
#include "fs/format/superblock.h"

namespace mirdax {

// kInvalid with what is wrong, unless every field is in its range (checksum not looked at).
Status CheckPrivateBlock(const PrivateBlock& block);

// One private block, checked in full. kCorrupt.
Result<PrivateBlock> DecodePrivateBlock(ConstBlockSpan bytes);

struct PrivateBlockChoice {
  PrivateBlock block;
  size_t slot;  // 0 = A, 1 = B
};
// The valid one with the higher sequence. kCorrupt when there is none.
Result<PrivateBlockChoice> ChoosePrivateBlock(ConstBlockSpan a, ConstBlockSpan b);

}  // namespace mirdax
