// SPDX-License-Identifier: BSD-2-Clause
// What two copies' histories of epochs say about each other.
#pragma once

#include <span>
#include <string>

#include "fs/format/layout.h"
#include "replicator/control_wire.h"

namespace mirdax {

enum class EpochRelation : uint8_t {
  kNone,    // mine is empty: a blank copy
  kSame,    // the same current epoch
  kBehind,  // my current epoch is an older one of theirs
  kAhead,   // their current epoch is an older one of mine
  kForked,  // neither knows the other's
};
EpochRelation CompareEpochs(std::span<const EpochEntry> mine,
                            std::span<const EpochEntry> theirs) noexcept;

std::span<const EpochEntry> HistoryOf(const PrivateBlock& block) noexcept;
EpochRecord EpochsOf(const PrivateBlock& block);
// Replaces history and members of `block`.
void StoreEpochs(const EpochRecord& epochs, PrivateBlock& block) noexcept;

std::string ToString(EpochId epoch);  // "7 (5a0c...)"

}  // namespace mirdax
