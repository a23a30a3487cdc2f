// SPDX-License-Identifier: BSD-2-Clause
// What each thread is at, for the message when the process dies of it, or a case does not end.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <thread>

#include "fs/base/mutex.h"
#include "tests/crash/explorer.h"

namespace mirdax::crash {

// Which crash image of a workload.
struct CurrentImage {
  uint64_t copy = kPrimaryCopy;  // of a set (explorer.h)
  uint64_t point = 0;
  uint64_t subset = 0;
  CheckDepth depth = {};
};

// While one lives, its thread is at this case: a workload, or one fault of it. They do not nest.
//
// Threads: that which made it.
class CurrentCase {
 public:
  // Says which case it is and how it is repeated; null: at none of its images. Called in a signal
  // handler, by a process that ends.
  using Report = std::function<void(const CurrentImage*)>;
  // What ends in time, or is a hang: all of it, or the run and each image.
  enum class Deadline : uint8_t { kForAll, kForEachImage };

  CurrentCase(Report report, Deadline deadline);
  ~CurrentCase();
  CurrentCase(const CurrentCase&) = delete;
  CurrentCase& operator=(const CurrentCase&) = delete;

  // Of this thread; null: none.
  static CurrentCase* OfThread() noexcept;
  // While one lives, its thread works at another's case.
  class Helper {
   public:
    explicit Helper(CurrentCase* whose) noexcept;
    ~Helper();
    Helper(const Helper&) = delete;
    Helper& operator=(const Helper&) = delete;
  };

  // Of this thread, which may be at none. `copy`: whose images come next.
  static void SetCopy(uint64_t copy) noexcept;
  static void SetImage(uint64_t point, uint64_t subset, const CheckDepth& depth) noexcept;
  static void LeaveImages() noexcept;

  // From now on a failed MIRDAX_CHECK, a memory fault or an abort prints the thread's current case
  // before the process ends.
  static void ReportOnAbort();

 private:
  static void OnSignal(int number);
  void Restart() const noexcept;  // the time of a deadline for each image

  const Report report_;
  const Deadline deadline_;
  bool at_image_ = false;
  CurrentImage image_;
};

// Aborts the process when a case takes too long.
//
// Threads: as said. One of its own.
class HangWatch {
 public:
  explicit HangWatch(std::chrono::milliseconds deadline);
  ~HangWatch();
  HangWatch(const HangWatch&) = delete;
  HangWatch& operator=(const HangWatch&) = delete;

  // While one lives, the thread that made it is watched, whenever it has a current case. REQUIRES:
  // the watch outlives it.
  class Watched {
   public:
    explicit Watched(HangWatch& watch);
    ~Watched();
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

   private:
    friend class HangWatch;
    HangWatch& watch_;
    const pthread_t thread_;
    std::atomic<uint64_t> begun_ms_ = 0;  // 0: at no case
  };

 private:
  void Loop();

  const std::chrono::milliseconds deadline_;
  Mutex mutex_;
  std::list<Watched*> watched_ MIRDAX_GUARDED_BY(mutex_);
  std::atomic<bool> done_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace mirdax::crash
