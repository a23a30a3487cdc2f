// SPDX-License-Identifier: BSD-2-Clause
// One fault on purpose: where it may strike is counted, and it strikes at the n-th place.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mirdax::crash {

enum class FaultKind : uint8_t {
  kMemory,  // operator new finds no memory
  kSpace,   // no block, or no inode, is given out
  kDrain,   // a drain of the region fails: what it covered is not durable
  kPoison,  // the medium refuses a page (poison_trap.h), until it is cured
  // With mirrors only (faulty_dialer.h):
  kPush,          // a post to a data connection fails: it is gone
  kAnswer,        // an answer on one is lost: the mirror falls silent
  kCut,           // the connection is gone instead of the answer
  kRequest,       // a control message is lost
  kHangUp,        // the control connection is gone, or none can be had
  kRefusal,       // a control message is answered with an error
  kMirrorDrain,   // a drain of a mirror's region fails
  kMirrorPoison,  // a mirror's medium refuses a page
  kMirrorMemory,  // operator new finds no memory in a mirror's daemon
};
inline constexpr FaultKind kFaultKinds[] = {
    FaultKind::kMemory,      FaultKind::kSpace,   FaultKind::kDrain,       FaultKind::kPoison,
    FaultKind::kPush,        FaultKind::kAnswer,  FaultKind::kCut,         FaultKind::kRequest,
    FaultKind::kHangUp,      FaultKind::kRefusal, FaultKind::kMirrorDrain, FaultKind::kMirrorPoison,
    FaultKind::kMirrorMemory};
// Whether it strikes on the way to a mirror, or in it: then no operation may fail.
constexpr bool IsOfMirrors(FaultKind kind) noexcept { return kind >= FaultKind::kPush; }
std::string_view FaultName(FaultKind kind) noexcept;  // "memory"
std::optional<FaultKind> FindFault(std::string_view name) noexcept;

struct FaultPlan {
  FaultKind kind = FaultKind::kMemory;
  uint64_t at = 1;       // strikes at the at-th chance
  bool lasting = false;  // and at each one after it
};
std::string PrintFault(const FaultPlan& plan);  // "memory 17 lasting"

// Chances count only while the product is at work (Faults::Work): what a test does in between has
// none. Memory is refused by operator new itself (fault_memory.cc), for as long as it says.
//
// Threads: one, that which made it; it has one such object at a time.
class Faults {
 public:
  explicit Faults(const FaultPlan& plan) : plan_(plan) {}
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  // A place where `kind` could strike. True: it does.
  bool Strikes(FaultKind kind) noexcept;
  // Called when the product begins to be at work, and when it is not any more.
  void OnWork(std::function<void(bool)> callback) { on_work_ = std::move(callback); }
  // The cause is gone: nothing strikes any more.
  void Lift() noexcept { lifted_ = true; }

  const FaultPlan& plan() const noexcept { return plan_; }
  uint64_t chances() const noexcept { return chances_; }
  uint64_t strikes() const noexcept { return strikes_; }
  // Of those who ask, the primary or the mirrors.
  bool out_of_memory() const noexcept {
    return plan_.kind == memory_kind() && plan_.lasting && strikes_ != 0 && !lifted_;
  }

  // While one lives, the product is at work; inside a callback of its caller, it is not.
  class Work {
   public:
    explicit Work(Faults& faults, bool at_work = true) noexcept;
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

   private:
    void Set(bool busy) noexcept;

    Faults& faults_;
    const bool before_;
  };

  // While one lives, a test's own part (a region, a network) below the product is at work: it has
  // all the memory it wants.
  class Aside {
   public:
    Aside() noexcept;
    ~Aside();
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

   private:
    Faults* const before_;
  };

  // While one lives, what is at work is not the primary but a mirror's daemon, whose memory is its
  // own. `faults` null: as Aside.
  class Mirror {
   public:
    explicit Mirror(Faults* faults) noexcept;
    ~Mirror();
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;

   private:
    Faults* const before_;
    const bool was_mirror_;
  };

  // Of this thread, while the product is at work; else null. For operator new.
  static Faults* current() noexcept;
  // Whether it is a mirror's daemon that is at work.
  static bool in_mirror() noexcept;
  // The fault that an allocation is a chance of.
  static FaultKind memory_kind() noexcept {
    return in_mirror() ? FaultKind::kMirrorMemory : FaultKind::kMemory;
  }
  // Bytes given back since memory ran out, which may be given out again.
  uint64_t memory_left = 0;

 private:
  const FaultPlan plan_;
  std::function<void(bool)> on_work_;
  bool at_work_ = false;
  bool lifted_ = false;
  uint64_t chances_ = 0;
  uint64_t strikes_ = 0;
};

}  // namespace mirdax::crash
