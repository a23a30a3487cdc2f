// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/orders.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mirdax::crash {
namespace {

std::string_view CodeName(const std::optional<ErrorCode>& code) {
  return code ? ErrorCodeName(*code) : "success";
}

}  // namespace

bool Orders::Explains(std::optional<ErrorCode> modelled, std::optional<ErrorCode> answered) const {
  return modelled == answered || (run_.scarce && answered == ErrorCode::kNoSpace && !modelled);
}

bool Orders::MayBeNext(const Numbers& done, uint32_t number) const {
  const auto is_done = [&done](uint32_t other) {
    return std::ranges::find(done, other) != done.end();
  };
  if (is_done(number)) return false;
  for (uint32_t other = 1; other <= run_.operations.size(); ++other) {
    if (Of(other).returned_at < Of(number).begun_at && !is_done(other)) return false;
  }
  return true;
}

Status Orders::Extend(Numbers& done, const State& state) {
  if (done.size() == run_.operations.size()) {
    if (orders_.size() == kMostOrders) {
      return Fail(ErrorCode::kInvalid, "more than {} orders of the operations are possible",
                  kMostOrders);
    }
    orders_.push_back({.numbers = done, .history = nullptr, .refuted = {}});
    return {};
  }
  Numbers next;
  for (uint32_t number = 1; number <= run_.operations.size(); ++number) {
    if (MayBeNext(done, number)) next.push_back(number);
  }
  // The likely ones first: syncs cover what is there when they begin, others are done when they
  // return.
  std::ranges::stable_sort(next, {}, [this](uint32_t number) {
    const InterleavedRun::Done& of = Of(number);
    return ScopeOf(of.operation) == SyncScope::kNothing ? of.returned_at : of.begun_at;
  });
  const auto index = static_cast<uint32_t>(done.size() + 1);
  for (const uint32_t number : next) {
    State after = state;
    const std::optional<ErrorCode> modelled =
        after.Apply(Of(number).operation, index, SecondsAt(number));
    if (!Explains(modelled, Of(number).answer)) continue;
    done.push_back(number);
    MIRDAX_TRY(Extend(done, Of(number).answer ? state : after));
    done.pop_back();
  }
  return {};
}

void Orders::Complete(Order& order) const {
  if (order.history) return;
  auto history = std::make_unique<History>(
      run_.start, run_.sync_always ? History::Synced::kItself : History::Synced::kNothing);
  for (const uint32_t number : order.numbers) {
    history->Add(Of(number).operation, !Of(number).answer, SecondsAt(number));
  }
  if (run_.end) {
    // As if all were synced: then nothing may be older than it is.
    History whole = *history;
    whole.Add({.kind = OpKind::kSyncAll}, true, SecondsAt(0));
    order.refuted = Oracle(whole).Judge(*run_.end, {whole.size(), whole.size()});
  }
  order.history = std::move(history);
}

std::string Orders::Describe() const {
  std::string text;
  for (uint32_t number = 1; number <= run_.operations.size(); ++number) {
    const InterleavedRun::Done& done = Of(number);
    text += fmt::format("\n    {}: {} (at {} to {}) answered {}", number,
                        PrintOperation(done.operation), done.begun_at, done.returned_at,
                        CodeName(done.answer));
  }
  return text;
}

Status Orders::Find() {
  Numbers done;
  MIRDAX_TRY(Extend(done, run_.start));
  if (orders_.empty()) {
    return Fail(ErrorCode::kCorrupt, "no order of the operations explains the answers:{}",
                Describe());
  }
  for (Order& order : orders_) {
    Complete(order);
    if (order.refuted) continue;
    std::swap(order, orders_.front());
    return {};
  }
  return Fail(ErrorCode::kCorrupt,
              "no order of the operations, of {}, explains what is seen after them: {}{}",
              orders_.size(), *orders_.front().refuted, Describe());
}

std::optional<std::string> Orders::Judge(const Observation& seen, Moment moment) const {
  std::string reason;
  for (Order& order : orders_) {
    Complete(order);
    if (order.refuted) continue;
    Moment cut;
    while (cut.begun < order.numbers.size() && order.numbers[cut.begun] <= moment.begun) {
      if (!moment.HasReturned(order.numbers[cut.begun])) cut.open |= uint64_t{1} << cut.begun;
      ++cut.begun;
    }
    cut.returned = cut.begun;
    std::optional<std::string> bad = Oracle(*order.history).Judge(seen, cut);
    if (!bad) {
      if (&order != &orders_.front()) std::swap(order, orders_.front());
      return std::nullopt;
    }
    if (reason.empty()) reason = std::move(*bad);
  }
  return fmt::format("in none of {} orders: {}{}", orders_.size(), reason, Describe());
}

}  // namespace mirdax::crash
