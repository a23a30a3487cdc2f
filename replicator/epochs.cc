// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/epochs.h"

#include <fmt/format.h>

#include <algorithm>

#include "fs/base/check.h"
#include "fs/base/text.h"

namespace mirdax {
namespace {

bool Knows(std::span<const EpochEntry> history, EpochId epoch) {
  return std::any_of(history.begin(), history.end(),
                     [&](const EpochEntry& entry) { return entry.epoch == epoch; });
}

}  // namespace

EpochRelation CompareEpochs(std::span<const EpochEntry> mine,
                            std::span<const EpochEntry> theirs) noexcept {
  if (mine.empty()) return EpochRelation::kNone;
  if (theirs.empty()) return EpochRelation::kForked;
  if (mine.back().epoch == theirs.back().epoch) return EpochRelation::kSame;
  if (Knows(theirs, mine.back().epoch)) return EpochRelation::kBehind;
  if (Knows(mine, theirs.back().epoch)) return EpochRelation::kAhead;
  return EpochRelation::kForked;
}

std::span<const EpochEntry> HistoryOf(const PrivateBlock& block) noexcept {
  return std::span(block.history).first(std::min<size_t>(block.history_count, kHistoryLength));
}

EpochRecord EpochsOf(const PrivateBlock& block) {
  const std::span<const EpochEntry> history = HistoryOf(block);
  return {{history.begin(), history.end()}, {block.members.begin(), block.members.end()}};
}

void StoreEpochs(const EpochRecord& epochs, PrivateBlock& block) noexcept {
  MIRDAX_CHECK(epochs.history.size() <= kHistoryLength && epochs.members.size() <= kMaxMirrors);
  block.history = {};
  std::copy(epochs.history.begin(), epochs.history.end(), block.history.begin());
  block.history_count = static_cast<uint32_t>(epochs.history.size());
  block.members = {};
  std::copy(epochs.members.begin(), epochs.members.end(), block.members.begin());
}

std::string ToString(EpochId epoch) {
  return fmt::format("{} ({})", epoch.number, IdText(epoch.id));
}

}  // namespace mirdax
