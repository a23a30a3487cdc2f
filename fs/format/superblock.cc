// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/superblock.h"

#include <algorithm>
#include <cstring>

#include "fs/base/check.h"
#include "fs/format/checksums.h"
#include "fs/format/geometry.h"
#include "fs/format/sequence.h"

namespace mirdax {
namespace {

Superblock Load(ConstBlockSpan bytes) noexcept {
  Superblock superblock;
  std::memcpy(&superblock, bytes.data(), sizeof(superblock));
  return superblock;
}

// Length of the UTF-8 sequence at the start of `text`; 0 when it is not one.
size_t Utf8Length(std::string_view text) noexcept {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  size_t length = 0;
  uint32_t code = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) {
    length = 2;
    code = lead & 0x1fU;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    length = 3;
    code = lead & 0x0fU;
  } else if (lead >= 0xf0 && lead < 0xf5) {
    length = 4;
    code = lead & 0x07U;
  }
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool c1_control = code < 0xa0;
  return overlong || surrogate || c1_control || code > 0x10ffff ? 0 : length;
}

Status CheckBlank(const Superblock& sb) {
  Superblock expected = sb;
  StoreGeometry(Geometry{}, expected);
  expected.pool_size = sb.pool_size;
  expected.block_size = sb.block_size;
  expected.blocks_per_group = sb.blocks_per_group;
  expected.set_uuid = {};
  if (std::memcmp(&expected, &sb, sizeof(sb)) != 0)
    return Fail(ErrorCode::kCorrupt, "superblock of a blank mirror states a geometry or a set");
  if (sb.block_size != kBlockSize || sb.blocks_per_group != kBlocksPerGroup ||
      sb.pool_size < kMinPoolSize || sb.pool_size % kBlockSize != 0)
    return Fail(ErrorCode::kCorrupt, "superblock of a blank mirror has an impossible size");
  return {};
}

}  // namespace

bool HasSuperblockMagic(ConstBlockSpan bytes) noexcept {
  return Load(bytes).magic == kSuperblockMagic;
}

Result<Superblock> DecodeSuperblock(ConstBlockSpan bytes) {
  const Superblock sb = Load(bytes);
  if (sb.magic != kSuperblockMagic)
    return Fail(ErrorCode::kCorrupt, "no mirdax superblock (magic {:#018x})", sb.magic);
  if (!IsSealed(sb)) return Fail(ErrorCode::kCorrupt, "superblock checksum is wrong");
  if (sb.version != kFormatVersion)
    return Fail(ErrorCode::kIncompatible,
                "format version {} is not known to this program (it knows {}); use a newer mirdax",
                sb.version, kFormatVersion);
  if ((sb.incompat & ~kKnownIncompat) != 0)
    return Fail(ErrorCode::kIncompatible,
                "incompatible features {:#x} are not known to this program; use a newer mirdax",
                sb.incompat & ~kKnownIncompat);
  if (sb.sequence == 0) return Fail(ErrorCode::kCorrupt, "superblock sequence is 0");
  if (sb.zero != decltype(sb.zero){})
    return Fail(ErrorCode::kCorrupt, "superblock has bytes set where there must be zeros");
  const std::string label = LabelOf(sb);
  if (!CheckLabel(label) || std::any_of(sb.label.begin() + static_cast<ptrdiff_t>(label.size()),
                                        sb.label.end(), [](char byte) { return byte != 0; }))
    return Fail(ErrorCode::kCorrupt, "superblock label is not a label");
  if ((sb.incompat & kIncompatBlank) != 0) {
    MIRDAX_TRY(CheckBlank(sb));
    return sb;
  }
  if (sb.set_uuid == std::array<uint8_t, 16>{})
    return Fail(ErrorCode::kCorrupt, "superblock has no set UUID");
  MIRDAX_TRY(GeometryOf(sb));
  return sb;
}

Result<SuperblockChoice> ChooseSuperblock(ConstBlockSpan a, ConstBlockSpan b) {
  auto first = DecodeSuperblock(a);
  auto second = DecodeSuperblock(b);
  const auto incompatible = [](const Result<Superblock>& result) {
    return !result && result.error().code == ErrorCode::kIncompatible;
  };
  if (!first && !second) {
    if (incompatible(first)) return Fail(first.error());
    if (incompatible(second)) return Fail(second.error());
    if (!HasSuperblockMagic(a) && !HasSuperblockMagic(b))
      return Fail(ErrorCode::kCorrupt, "there is no mirdax superblock at 0 or at {}", kBlockSize);
    return Fail(ErrorCode::kCorrupt, "both superblocks are damaged (at 0: {}; at {}: {})",
                first.error().message, kBlockSize, second.error().message);
  }
  if (incompatible(first) && IsNewer(Load(a).sequence, second->sequence))
    return Fail(first.error());
  if (incompatible(second) && IsNewer(Load(b).sequence, first->sequence))
    return Fail(second.error());
  if (first && (!second || !IsNewer(second->sequence, first->sequence)))
    return SuperblockChoice{*first, 0};
  return SuperblockChoice{*second, 1};
}

std::string UnknownRoCompat(const Superblock& superblock) {
  const uint64_t unknown = superblock.ro_compat & ~kKnownRoCompat;
  return unknown == 0 ? std::string() : fmt::format("{:#x}", unknown);
}

Status CheckLabel(std::string_view label) {
  if (label.size() > kMaxLabelLength)
    return Fail(ErrorCode::kInvalid, "the label has {} bytes; the maximum is {}", label.size(),
                kMaxLabelLength);
  for (std::string_view rest = label; !rest.empty();) {
    const auto lead = static_cast<unsigned char>(rest.front());
    const size_t length = Utf8Length(rest);
    if (length == 0 || lead < 0x20 || lead == 0x7f)
      return Fail(ErrorCode::kInvalid,
                  "the label has a control character or is not UTF-8 at byte {}; choose another",
                  label.size() - rest.size());
    rest.remove_prefix(length);
  }
  return {};
}

std::string LabelOf(const Superblock& superblock) {
  const auto& label = superblock.label;
  return {label.begin(), std::find(label.begin(), label.end(), '\0')};
}

void SetLabel(Superblock& superblock, std::string_view label) noexcept {
  MIRDAX_CHECK(label.size() <= kMaxLabelLength);
  superblock.label.fill('\0');
  std::copy(label.begin(), label.end(), superblock.label.begin());
}

}  // namespace mirdax
