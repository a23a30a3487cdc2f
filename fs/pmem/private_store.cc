// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/private_store.h"

#include <algorithm>

#include "fs/base/mutant.h"
#include "fs/format/checksums.h"
#include "fs/format/private_block.h"
#include "fs/format/sequence.h"
#include "fs/pmem/torn_slot.h"

namespace mirdax {
namespace {

uint64_t SlotOffset(size_t slot) { return kPrivateBlockOffset + slot * kBlockSize; }

ConstBlockSpan SlotBytes(Region& region, size_t slot) {
  return ConstBlockSpan(region.At(SlotOffset(slot), kBlockSize), kBlockSize);
}

Status WriteSlot(Region& region, size_t slot, const PrivateBlock& block) {
  region.Write(SlotOffset(slot), BytesOf(block));
  if (Mutated(Mutant::kPrivateBlockNotFlushed)) return {};
  return region.Persist(SlotOffset(slot), kBlockSize);
}

}  // namespace

Result<std::unique_ptr<PrivateStore>> PrivateStore::Open(Region& region) {
  const auto choice = ChoosePrivateBlock(SlotBytes(region, 0), SlotBytes(region, 1));
  // One that is refused may be the newer: an older epoch or list must not be taken for it.
  MIRDAX_TRY(region.CheckGood(SlotOffset(0), 2 * kBlockSize));
  if (!choice) return Fail(choice.error());
  return std::unique_ptr<PrivateStore>(new PrivateStore(region, choice->block, choice->slot));
}

Status PrivateStore::Format(Region& region, const PrivateBlock& first) {
  PrivateBlock block = first;
  block.magic = kPrivateMagic;
  block.sequence = 1;
  MIRDAX_TRY(CheckPrivateBlock(block));
  Seal(block);
  region.StreamZeros(SlotOffset(1), kBlockSize);
  return WriteSlot(region, 0, block);
}

PrivateBlock PrivateStore::Get() const {
  const MutexLock lock(mutex_);
  return current_;
}

Status PrivateStore::Update(const std::function<void(PrivateBlock&)>& change) {
  const MutexLock lock(mutex_);
  PrivateBlock next = current_;
  change(next);
  next.sequence = NextSequence(current_.sequence);
  MIRDAX_TRY(CheckPrivateBlock(next));
  Seal(next);
  const size_t slot = Mutated(Mutant::kPrivateBlockInPlace) ? slot_ : 1 - slot_;
  const auto there = DecodePrivateBlock(SlotBytes(region_, slot));
  MIRDAX_TRY(
      ForgetTorn(region_, SlotOffset(slot), there && !IsNewer(there->sequence, current_.sequence)));
  MIRDAX_TRY(WriteSlot(region_, slot, next));
  current_ = next;
  slot_ = slot;
  return {};
}

EpochId CurrentEpoch(const PrivateBlock& block) noexcept {
  return block.history_count == 0 ? EpochId{} : block.history[block.history_count - 1].epoch;
}

void BeginEpoch(PrivateBlock& block, uint64_t random_id, Lsn start, int64_t now_seconds) noexcept {
  const uint64_t number = CurrentEpoch(block).number + 1;
  if (block.history_count == kHistoryLength) {
    const auto needed = [&](const EpochEntry& entry, const EpochEntry& next) {
      return std::any_of(block.members.begin(), block.members.end(), [&](const Member& member) {
        return member.state == MemberState::kOutOfSync && entry.epoch.number < member.since_epoch &&
               next.epoch.number >= member.since_epoch;
      });
    };
    auto victim = block.history.begin();
    while (needed(*victim, *(victim + 1))) ++victim;  // fewer members than entries
    std::copy(victim + 1, block.history.end(), victim);
    --block.history_count;
  }
  block.history[block.history_count++] =
      EpochEntry{.epoch = {number, random_id}, .start = start, .since_seconds = now_seconds};
}

}  // namespace mirdax
