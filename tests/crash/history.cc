// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/history.h"

#include <algorithm>

namespace mirdax::crash {
namespace {

// What -o sync makes of an operation, apart from others.
SyncScope ScopeOfItself(OpKind kind) {
  switch (kind) {
    case OpKind::kOpen:
    case OpKind::kClose:
      return SyncScope::kNothing;
    case OpKind::kTruncate:
    case OpKind::kFallocate:
    case OpKind::kPunch:
    case OpKind::kZero:
      return SyncScope::kFile;
    default:
      return StoresBytes(kind) ? SyncScope::kFile : SyncScope::kNames;
  }
}

}  // namespace

std::optional<ErrorCode> History::Add(const Operation& operation, bool done, int64_t seconds,
                                      bool synced) {
  const uint32_t index = size() + 1;
  State next = states_.back();
  const std::optional<ErrorCode> refused = next.Apply(operation, index, seconds);
  const bool changes = done && !refused;
  SyncScope scope = changes && synced ? ScopeOf(operation) : SyncScope::kNothing;
  if (changes && synced && synced_by_mount_ == Synced::kEverything) {
    scope = SyncScope::kEverything;
  }
  if (changes && synced && synced_by_mount_ == Synced::kItself) {
    scope = std::max(scope, ScopeOfItself(operation.kind));
  }
  const bool syncs =
      synced_by_mount_ != Synced::kNothing || ScopeOf(operation) != SyncScope::kNothing;
  if (!refused && syncs && (!done || !synced) && failed_sync_ == 0) failed_sync_ = index;
  NodeId node = 0;
  if (scope == SyncScope::kFile) {
    const bool copy = operation.kind == OpKind::kCopy;
    node = next.Find(copy ? operation.other : operation.path).value_or(0);
  }
  operations_.push_back(operation);
  seconds_.push_back(seconds);
  scopes_.push_back(scope);
  synced_.push_back(node);
  if (!changes) {
    next = states_.back();
    if (!refused) next.MayHaveAllocated(operation);
  }
  states_.push_back(std::move(next));
  return refused;
}

uint32_t History::NamesDurable(Moment moment) const {
  for (uint32_t index = moment.returned; index > 0; --index) {
    if (!moment.HasReturned(index)) continue;
    if (scopes_[index - 1] != SyncScope::kNothing) return index;
  }
  return 0;
}

uint32_t History::BytesDurable(NodeId node, Moment moment, bool times) const {
  for (uint32_t index = moment.returned; index > 0; --index) {
    if (!moment.HasReturned(index)) continue;
    const OpKind kind = At(index).kind;
    if (times && (kind == OpKind::kFdatasync || kind == OpKind::kMsync)) continue;
    const SyncScope scope = scopes_[index - 1];
    if (scope == SyncScope::kEverything) return index;
    if (scope == SyncScope::kFile && synced_[index - 1] == node) return index;
  }
  return 0;
}

}  // namespace mirdax::crash
