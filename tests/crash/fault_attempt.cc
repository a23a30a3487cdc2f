// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/fault_attempt.h"

#include <fmt/format.h>

#include "tests/crash/manual_pages.h"
#include "tests/crash/observation.h"

namespace mirdax::crash {
namespace {

std::string_view CodeName(const std::optional<ErrorCode>& code) {
  return code ? ErrorCodeName(*code) : "success";
}

// An operation of several calls, the last of which may fail after the others did all there was to
// do.
bool MayBeDoneAndFail(const Operation& operation, bool always_synced) {
  return always_synced || operation.flag == OpFlag::kSync || operation.kind == OpKind::kAppend;
}

bool ChangesBlocks(OpKind kind) {
  return StoresBytes(kind) || kind == OpKind::kTruncate || kind == OpKind::kFallocate ||
         kind == OpKind::kPunch || kind == OpKind::kZero;
}

}  // namespace

Status FaultRun::Attempt::Shows(const State& state, std::string_view when) {
  MIRDAX_ASSIGN(const Observation seen, Observe(mounted->volume()));
  State now = state;
  for (const auto& [file, before] : untrimmed)
    if (now.Has(file)) now.MayKeepBehindEnd(file, *before);
  if (const auto different = Differs(seen, now)) {
    return Fail(ErrorCode::kCorrupt, "{} the volume shows something else: {}", when, *different);
  }
  // Files without a name are seen by those who have them open.
  for (const auto& [handle, node] : state.handles()) {
    if (!state.At(node).IsFile()) continue;
    std::string bytes;
    MIRDAX_TRY(mounted->volume().Read(executor->InoOf(handle), 0, kMaxFileSize,
                                      [&bytes](std::span<const std::span<const std::byte>> spans) {
                                        for (const auto span : spans)
                                          bytes.append(reinterpret_cast<const char*>(span.data()),
                                                       span.size());
                                      }));
    if (bytes != state.At(node).data->bytes()) {
      return Fail(ErrorCode::kCorrupt, "{} {} shows something else", when, handle);
    }
  }
  return {};
}

void FaultRun::Attempt::NoteUntrimmed(const Operation& operation, bool struck, bool done) {
  if (!struck && done && (operation.kind == OpKind::kTick || operation.kind == OpKind::kUnmount)) {
    untrimmed.clear();
    return;
  }
  const State& before = recording.history.After(recording.history.size());
  const bool copy = operation.kind == OpKind::kCopy;
  const Result<NodeId> file = before.Find(copy ? operation.other : operation.path);
  if (!file || !before.At(*file).IsFile()) return;
  if (struck && operation.kind == OpKind::kTruncate) {
    if (done) untrimmed.erase(*file);  // what was left before went first
    untrimmed.try_emplace(*file, before.At(*file).data);
  } else if (!struck && done && ChangesBlocks(operation.kind)) {
    untrimmed.erase(*file);
  }
}

Status FaultRun::Attempt::ShowsUnlessRefused(const State& state, std::string_view when) {
  if (!poisoned()) return Shows(state, when);
  // What is stopped shows what it will, but none of it is there after the next mount.
  if (outcome.stopped) return {};
  Status shown = Shows(state, when);
  if (!shown && shown.error().code == ErrorCode::kIo) return {};
  return shown;
}

void FaultRun::Attempt::SetTraps(ShapedPool& pool, MirroredPool* set) {
  if (faults.plan().kind == FaultKind::kPoison)
    traps.push_back(std::make_unique<PoisonTrap>(pool.region(), faults));
  for (size_t i = 0; faults.plan().kind == FaultKind::kMirrorPoison && set != nullptr &&
                     i < set->mirrors().size();
       ++i)
    traps.push_back(std::make_unique<PoisonTrap>(*set->mirrors()[i], faults));
  if (traps.empty()) return;
  faults.OnWork([this](bool busy) {
    for (const auto& trap : traps) {
      if (busy)
        trap->Arm();
      else
        trap->Disarm();
    }
  });
}

Status FaultRun::Attempt::Do(Operation operation, bool scarce) {
  History& history = recording.history;
  const uint32_t index = history.size() + 1;
  const auto wrong = [&](std::string_view what) {
    return Fail(ErrorCode::kCorrupt, "operation {} ({}) {}", index, PrintOperation(operation),
                what);
  };
  mounted->clock().Set(SecondsAt(index));
  const size_t begin = region->log_size();
  const uint64_t strikes_before = faults.strikes();
  const Result<uint64_t> answer = executor->Do(operation);
  const bool struck = faults.strikes() != strikes_before;
  recording.spans.push_back({begin, region->log_size()});
  chances.push_back(faults.chances());
  if (struck && outcome.operation == 0) outcome.operation = index;
  if (struck && !answer) outcome.failed = true;
  NoteUntrimmed(operation, struck, answer.has_value());

  if (answer && *answer < operation.length && (scarce || struck) && StoresBytes(operation.kind)) {
    operation.length = *answer;  // space ran out
  }
  State after = history.After(index - 1);
  const std::optional<ErrorCode> wanted = after.Apply(operation, index);
  std::optional<ErrorCode> answered;
  if (!answer) answered = answer.error().code;

  const bool stopped = mounted->volume().GetStatus().shut_down;
  if (struck && !answer && IsOfMirrors(faults.plan().kind)) {
    return wrong(fmt::format("failed of what happened to a mirror: {}", answer.error().message));
  }
  if (stopped && !outcome.stopped && faults.plan().kind != FaultKind::kDrain &&
      faults.plan().kind != FaultKind::kPoison) {
    return wrong(fmt::format("stopped the filesystem: {}", answer ? "" : answer.error().message));
  }
  outcome.stopped = stopped;

  if (answered == wanted) {
    // Once the filesystem has stopped, -o sync makes nothing durable; a sync that succeeds says so.
    const bool synced = !stopped || ScopeOf(operation) != SyncScope::kNothing;
    (void)history.Add(operation, answer.has_value(), SecondsAt(index), synced);
    if (outcome.operation == 0) return {};
    return ShowsUnlessRefused(history.After(index), fmt::format("after operation {} ({})", index,
                                                                PrintOperation(operation)));
  }
  const bool excused = (scarce && answered == ErrorCode::kNoSpace) ||
                       (stopped && answered == ErrorCode::kShutdown) || struck || poisoned();
  if (!excused || !answered) {
    return wrong(fmt::format("answered {} ({}), the model says {}", CodeName(answered),
                             answer ? "" : answer.error().message, CodeName(wanted)));
  }
  Operation failed = operation;
  if (volume->looked_up_last()) failed.kind = OpKind::kOpen;
  if (!MayFailWith(failed, *answered)) {
    return wrong(fmt::format("failed with {} ({}), which its manual page does not have",
                             CodeName(answered), answer.error().message));
  }
  // What stops cannot be asked whether all but the sync was done: then it may be there, or not.
  const bool opens = operation.kind == OpKind::kOpen || operation.kind == OpKind::kTmpfile;
  if (poisoned() && stopped && !wanted && !opens && MayBeDoneAndFail(operation, always_synced)) {
    (void)history.Add(operation, true, SecondsAt(index), false);
    return {};
  }
  // It failed of the fault: nothing has changed, or all but a sync was done.
  State before = history.After(index - 1);
  if (!wanted) before.MayHaveAllocated(operation);
  const Status unchanged = ShowsUnlessRefused(before, "after it failed");
  if (!unchanged && !wanted && MayBeDoneAndFail(operation, always_synced)) {
    if (ShowsUnlessRefused(after, "")) {
      (void)history.Add(operation, true, SecondsAt(index), false);
      return {};
    }
  }
  if (!unchanged) {
    return wrong(fmt::format("failed with {} ({}), and {}", CodeName(answered),
                             answer.error().message, unchanged.error().message));
  }
  (void)history.Add(operation, false);
  return {};
}

}  // namespace mirdax::crash
