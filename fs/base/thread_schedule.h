// SPDX-License-Identifier: BSD-2-Clause
// A seam through which a test decides which thread goes on.
#pragma once

namespace mirdax {

// A thread that has one (`thread_schedule`) asks it at every step that other threads can notice:
// the locks and condition variables of mutex.h report to it, and regions of tests do. Then
// interleavings can be chosen, and repeated, instead of being left to the machine.
//
// A seam and not a build option, because what is tested so must be the code that is installed. A
// thread without a schedule, as all are outside of tests, pays for it with one load of a
// thread-local pointer and a branch that is never taken, at each lock and unlock.
//
// Threads: each method by the thread whose schedule it is.
class ThreadSchedule {
 public:
  enum class Obstacle { kLock, kCondition };

  virtual ~ThreadSchedule() = default;
  // Others may run before this returns.
  virtual void Step() = 0;
  // `what` is not to be had now. Returns after somebody's Released(what): then try again.
  virtual void Await(const void* what, Obstacle obstacle) = 0;
  virtual void Released(const void* what) = 0;
};

inline constinit thread_local ThreadSchedule* thread_schedule = nullptr;

}  // namespace mirdax
