// SPDX-License-Identifier: BSD-2-Clause
// Reading and checking superblocks. Every byte is taken as hostile (R9).
//
// Every format version keeps magic, version, crc and sequence where they are and the crc's
// coverage, so that a newer format is told apart from damage.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "fs/base/result.h"
#include "fs/format/layout.h"

namespace mirdax {

using ConstBlockSpan = std::span<const std::byte, kBlockSize>;

bool HasSuperblockMagic(ConstBlockSpan bytes) noexcept;

// One superblock, checked in full. Errors: kCorrupt (what is wrong), kIncompatible (a version or
// incompat bits that this program does not know: which). Unknown ro_compat bits pass.
Result<Superblock> DecodeSuperblock(ConstBlockSpan bytes);

struct SuperblockChoice {
  Superblock superblock;
  size_t slot;  // 0 = A, 1 = B
};
// The valid one with the higher sequence. An incompatible one with a higher sequence wins too: then
// the other is out of date, and the error is kIncompatible.
Result<SuperblockChoice> ChooseSuperblock(ConstBlockSpan a, ConstBlockSpan b);

// Unknown ro_compat bits, as text ("0x4"); empty when the pool may be written.
std::string UnknownRoCompat(const Superblock& superblock);

inline constexpr size_t kMaxLabelLength = 63;  // bytes
// kInvalid unless `label` is UTF-8 without control characters, of at most kMaxLabelLength bytes.
Status CheckLabel(std::string_view label);
std::string LabelOf(const Superblock& superblock);
// REQUIRES: CheckLabel(label).
void SetLabel(Superblock& superblock, std::string_view label) noexcept;

}  // namespace mirdax
