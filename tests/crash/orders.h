// SPDX-License-Identifier: BSD-2-Clause
// Says which filesystems a crash may leave when clients were at work at once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/interleaved_run.h"
#include "tests/crash/oracle.h"

namespace mirdax::crash {

// Each operation takes effect at one moment between its call and its return, a sync too: it covers
// what took effect before that moment. So there is an *order* of all operations in which
//  L1 an operation that had returned before another began comes before it;
//  L2 the model, doing them in this order, answers what the volume answered;
//  L3 what is seen after the last operation, with no crash, is exactly what the model says.
// All orders with L1 and L2 are tried, L3 is tested when one is needed. A run that has no order is
// a violation. A crash is legal when for one of the orders, cut off before the first operation that
// had not begun, the Oracle allows what is seen: what had returned in it had returned, whatever
// stands before it in the order.
//
// So two operations at work at once may have happened in either order, but the answers, the end and
// what a crash leaves must be explained by the same one.
//
// Threads: one.
class Orders final : public LegalStates {
 public:
  static constexpr size_t kMostOrders = 20'000;

  // REQUIRES: `run` outlives the object.
  explicit Orders(const InterleavedRun& run) : run_(run) {}

  // Finds them. Errors: kCorrupt: nothing explains the answers, or what is seen at the end.
  // kInvalid: more than kMostOrders.
  Status Find();
  // REQUIRES: Find() succeeded.
  std::optional<std::string> Judge(const Observation& seen, Moment moment) const override;

  size_t count() const noexcept { return orders_.size(); }

 private:
  using Numbers = std::vector<uint32_t>;
  struct Order {
    Numbers numbers;
    std::unique_ptr<const History> history;  // made when it is first needed, and L3 tested
    std::optional<std::string> refuted;
  };

  const InterleavedRun::Done& Of(uint32_t number) const { return run_.operations[number - 1]; }
  // Where space is scarce, there may be none though the model has some.
  bool Explains(std::optional<ErrorCode> modelled, std::optional<ErrorCode> answered) const;
  // All orders that begin with `done`, which leads to `state`.
  Status Extend(Numbers& done, const State& state);
  bool MayBeNext(const Numbers& done, uint32_t number) const;  // L1
  // Makes its history and tests L3, once.
  void Complete(Order& order) const;
  std::string Describe() const;

  const InterleavedRun& run_;
  mutable std::vector<Order> orders_;  // the one that explained the last image first
};

}  // namespace mirdax::crash
