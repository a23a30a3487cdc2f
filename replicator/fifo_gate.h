// SPDX-License-Identifier: BSD-2-Clause
// A right that one thread has at a time, in the order in which it was asked for.
#pragma once

#include <cstdint>

#include "fs/base/mutex.h"

namespace mirdax {

// Unlike a mutex it is fair: who asks for it again and again, slice by slice, delays anybody else
// by one slice. And no lock is held meanwhile: the owner may wait for a peer (R10).
//
// Threads: any; Leave() by the owner. Turn: for the length of a scope.
class FifoGate {
 public:
  class Turn {
   public:
    explicit Turn(FifoGate& gate) : gate_(gate) { gate_.Enter(); }
    ~Turn() { gate_.Leave(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    FifoGate& gate_;
  };

  void Enter() MIRDAX_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const uint64_t mine = next_++;
    while (now_ != mine) moved_.Wait(mutex_);  // the owners' waits have deadlines
  }
  void Leave() MIRDAX_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    ++now_;
    moved_.NotifyAll();
  }

 private:
  Mutex mutex_;
  CondVar moved_;
  uint64_t next_ MIRDAX_GUARDED_BY(mutex_) = 0;  // number of who asks next
  uint64_t now_ MIRDAX_GUARDED_BY(mutex_) = 0;   // number of the owner
};

}  // namespace mirdax
