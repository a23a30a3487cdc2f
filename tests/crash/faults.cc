// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/faults.h"

#include <fmt/format.h>

namespace mirdax::crash {
namespace {

thread_local Faults* at_work = nullptr;
thread_local bool mirror_at_work = false;

}  // namespace

std::string_view FaultName(FaultKind kind) noexcept {
  switch (kind) {
    case FaultKind::kMemory:
      return "memory";
    case FaultKind::kSpace:
      return "space";
    case FaultKind::kDrain:
      return "drain";
    case FaultKind::kPoison:
      return "poison";
    case FaultKind::kPush:
      return "push";
    case FaultKind::kAnswer:
      return "answer";
    case FaultKind::kCut:
      return "cut";
    case FaultKind::kRequest:
      return "request";
    case FaultKind::kHangUp:
      return "hang-up";
    case FaultKind::kRefusal:
      return "refusal";
    case FaultKind::kMirrorDrain:
      return "mirror-drain";
    case FaultKind::kMirrorPoison:
      return "mirror-poison";
    case FaultKind::kMirrorMemory:
      return "mirror-memory";
  }
  return "unknown";
}

std::optional<FaultKind> FindFault(std::string_view name) noexcept {
  for (const FaultKind kind : kFaultKinds)
    if (FaultName(kind) == name) return kind;
  return std::nullopt;
}

std::string PrintFault(const FaultPlan& plan) {
  return fmt::format("{} {}{}", FaultName(plan.kind), plan.at, plan.lasting ? " lasting" : "");
}

bool Faults::Strikes(FaultKind kind) noexcept {
  if (kind != plan_.kind || !at_work_ || lifted_) return false;
  ++chances_;
  if (chances_ != plan_.at && !(plan_.lasting && chances_ > plan_.at)) return false;
  ++strikes_;
  return true;
}

Faults* Faults::current() noexcept { return at_work; }

Faults::Aside::Aside() noexcept : before_(at_work) { at_work = nullptr; }
Faults::Aside::~Aside() { at_work = before_; }

bool Faults::in_mirror() noexcept { return mirror_at_work && at_work != nullptr; }

Faults::Mirror::Mirror(Faults* faults) noexcept : before_(at_work), was_mirror_(mirror_at_work) {
  at_work = faults;
  mirror_at_work = true;
}
Faults::Mirror::~Mirror() {
  at_work = before_;
  mirror_at_work = was_mirror_;
}

Faults::Work::Work(Faults& faults, bool busy) noexcept : faults_(faults), before_(faults.at_work_) {
  Set(busy);
}

Faults::Work::~Work() { Set(before_); }

void Faults::Work::Set(bool busy) noexcept {
  if (faults_.on_work_ && busy != faults_.at_work_ && !faults_.lifted_) faults_.on_work_(busy);
  faults_.at_work_ = busy;
  at_work = busy ? &faults_ : nullptr;
}

}  // namespace mirdax::crash
