// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/private_block.h"

#include <algorithm>
#include <cstring>

#include "fs/format/checksums.h"
#include "fs/format/sequence.h"

namespace mirdax {
namespace {

constexpr std::array<uint8_t, 16> kNil{};

template <typename T>
bool IsZero(const T& object) noexcept {
  static_assert(std::has_unique_object_representations_v<T>);
  constexpr T kZero{};
  return std::memcmp(&object, &kZero, sizeof(T)) == 0;
}

Status CheckHistory(const PrivateBlock& block) {
  if (block.history_count > kHistoryLength)
    return Fail(ErrorCode::kInvalid, "history has {} entries, more than {}", block.history_count,
                kHistoryLength);
  if (block.history_count == 0 && block.state == CopyState::kConsistent)
    return Fail(ErrorCode::kInvalid, "a consistent copy has no epoch");
  uint64_t last = 0;
  for (size_t i = 0; i < kHistoryLength; ++i) {
    const EpochEntry& entry = block.history[i];
    if (i >= block.history_count) {
      if (!IsZero(entry))
        return Fail(ErrorCode::kInvalid, "unused history entry {} is not zero", i);
      continue;
    }
    if (entry.epoch.number <= last || entry.start % kLineSize != 0)
      return Fail(ErrorCode::kInvalid, "history entry {} (epoch {}, start {}) is out of order", i,
                  entry.epoch.number, entry.start);
    last = entry.epoch.number;
  }
  return {};
}

Status CheckMember(const Member& member, size_t slot) {
  if (member.state == MemberState::kNone) {
    if (!IsZero(member)) return Fail(ErrorCode::kInvalid, "free member slot {} is not zero", slot);
    return {};
  }
  const bool state_known =
      member.state == MemberState::kInSync || member.state == MemberState::kOutOfSync;
  if (!state_known || member.zero != 0 || member.copy_uuid == kNil)
    return Fail(ErrorCode::kInvalid, "member slot {} is not a member", slot);
  // The address reaches logs and terminals.
  const auto end = std::find(member.address.begin(), member.address.end(), '\0');
  if (end == member.address.end() ||
      std::any_of(member.address.begin(), end, [](char c) { return c <= ' ' || c > '~'; }) ||
      std::any_of(end, member.address.end(), [](char c) { return c != '\0'; }))
    return Fail(ErrorCode::kInvalid, "the address of member slot {} is not an address", slot);
  return {};
}

}  // namespace

Status CheckPrivateBlock(const PrivateBlock& block) {
  if (block.magic != kPrivateMagic) return Fail(ErrorCode::kInvalid, "no private block");
  if (block.sequence == 0) return Fail(ErrorCode::kInvalid, "sequence is 0");
  if (block.copy_uuid == kNil) return Fail(ErrorCode::kInvalid, "there is no copy UUID");
  if (block.role != Role::kPrimary && block.role != Role::kMirror && block.role != Role::kWitness)
    return Fail(ErrorCode::kInvalid, "role {} is unknown", static_cast<uint32_t>(block.role));
  if (block.state != CopyState::kBlank && block.state != CopyState::kFilling &&
      block.state != CopyState::kConsistent)
    return Fail(ErrorCode::kInvalid, "state {} is unknown", static_cast<uint32_t>(block.state));
  if (block.state == CopyState::kConsistent && block.set_uuid == kNil)
    return Fail(ErrorCode::kInvalid, "a consistent copy belongs to no set");
  if (block.clean > 1) return Fail(ErrorCode::kInvalid, "clean is {}", block.clean);
  if (block.tail % kLineSize != 0)
    return Fail(ErrorCode::kInvalid, "tail {} is not a multiple of {}", block.tail, kLineSize);
  MIRDAX_TRY(CheckHistory(block));
  for (size_t slot = 0; slot < kMaxMirrors; ++slot)
    MIRDAX_TRY(CheckMember(block.members[slot], slot));
  if (block.zero != decltype(block.zero){})
    return Fail(ErrorCode::kInvalid, "bytes are set where there must be zeros");
  return {};
}

Result<PrivateBlock> DecodePrivateBlock(ConstBlockSpan bytes) {
  PrivateBlock block;
  std::memcpy(&block, bytes.data(), sizeof(block));
  if (block.magic == kPrivateMagic && !IsSealed(block))
    return Fail(ErrorCode::kCorrupt, "checksum is wrong");
  if (auto status = CheckPrivateBlock(block); !status)
    return Fail(ErrorCode::kCorrupt, "{}", status.error().message);
  return block;
}

Result<PrivateBlockChoice> ChoosePrivateBlock(ConstBlockSpan a, ConstBlockSpan b) {
  const auto first = DecodePrivateBlock(a);
  const auto second = DecodePrivateBlock(b);
  if (!first && !second)
    return Fail(ErrorCode::kCorrupt, "no valid private block (at {}: {}; at {}: {})",
                kPrivateBlockOffset, first.error().message, kPrivateBlockOffset + kBlockSize,
                second.error().message);
  if (first && (!second || !IsNewer(second->sequence, first->sequence)))
    return PrivateBlockChoice{*first, 0};
  return PrivateBlockChoice{*second, 1};
}

}  // namespace mirdax
