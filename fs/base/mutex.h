// SPDX-License-Identifier: BSD-2-Clause
// Mutexes that clang's thread-safety analysis understands (std's are not annotated in libstdc++).
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#include "fs/base/thread_schedule.h"

#if defined(__clang__)
#define MIRDAX_ANNOTATE(x) __attribute__((x))
#else
#define MIRDAX_ANNOTATE(x)
#endif

#define MIRDAX_CAPABILITY(x) MIRDAX_ANNOTATE(capability(x))
#define MIRDAX_SCOPED_CAPABILITY MIRDAX_ANNOTATE(scoped_lockable)
#define MIRDAX_GUARDED_BY(x) MIRDAX_ANNOTATE(guarded_by(x))
#define MIRDAX_PT_GUARDED_BY(x) MIRDAX_ANNOTATE(pt_guarded_by(x))
#define MIRDAX_REQUIRES(...) MIRDAX_ANNOTATE(requires_capability(__VA_ARGS__))
#define MIRDAX_REQUIRES_SHARED(...) MIRDAX_ANNOTATE(requires_shared_capability(__VA_ARGS__))
#define MIRDAX_ACQUIRE(...) MIRDAX_ANNOTATE(acquire_capability(__VA_ARGS__))
#define MIRDAX_ACQUIRE_SHARED(...) MIRDAX_ANNOTATE(acquire_shared_capability(__VA_ARGS__))
#define MIRDAX_RELEASE(...) MIRDAX_ANNOTATE(release_capability(__VA_ARGS__))
#define MIRDAX_RELEASE_SHARED(...) MIRDAX_ANNOTATE(release_shared_capability(__VA_ARGS__))
#define MIRDAX_RELEASE_GENERIC(...) MIRDAX_ANNOTATE(release_generic_capability(__VA_ARGS__))
#define MIRDAX_TRY_ACQUIRE(...) MIRDAX_ANNOTATE(try_acquire_capability(__VA_ARGS__))
#define MIRDAX_EXCLUDES(...) MIRDAX_ANNOTATE(locks_excluded(__VA_ARGS__))
#define MIRDAX_NO_THREAD_SAFETY_ANALYSIS MIRDAX_ANNOTATE(no_thread_safety_analysis)

namespace mirdax {

namespace internal {

// Threads with a schedule never block in the kernel.
template <typename TryLock>
void LockInTurn(const void* name, const TryLock& try_lock) {
  thread_schedule->Step();
  while (!try_lock()) thread_schedule->Await(name, ThreadSchedule::Obstacle::kLock);
}
template <typename Lock, typename TryLock>
void Acquire(const void* name, const Lock& lock, const TryLock& try_lock) {
  if (thread_schedule == nullptr) [[likely]] {
    lock();
  } else {
    LockInTurn(name, try_lock);
  }
}
template <typename Unlock>
void Release(const void* name, const Unlock& unlock) {
  unlock();
  if (thread_schedule != nullptr) [[unlikely]] {
    thread_schedule->Released(name);
    thread_schedule->Step();
  }
}

}  // namespace internal

class MIRDAX_CAPABILITY("mutex") Mutex {
 public:
  void lock() MIRDAX_ACQUIRE() {
    internal::Acquire(
        this, [this] { mutex_.lock(); }, [this] { return mutex_.try_lock(); });
  }
  void unlock() MIRDAX_RELEASE() {
    internal::Release(this, [this] { mutex_.unlock(); });
  }
  bool try_lock() MIRDAX_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class MIRDAX_CAPABILITY("shared_mutex") SharedMutex {
 public:
  void lock() MIRDAX_ACQUIRE() {
    internal::Acquire(
        this, [this] { mutex_.lock(); }, [this] { return mutex_.try_lock(); });
  }
  void unlock() MIRDAX_RELEASE() {
    internal::Release(this, [this] { mutex_.unlock(); });
  }
  bool try_lock() MIRDAX_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  void lock_shared() MIRDAX_ACQUIRE_SHARED() {
    internal::Acquire(
        this, [this] { mutex_.lock_shared(); }, [this] { return mutex_.try_lock_shared(); });
  }
  void unlock_shared() MIRDAX_RELEASE_SHARED() {
    internal::Release(this, [this] { mutex_.unlock_shared(); });
  }

 private:
  std::shared_mutex mutex_;
};

class MIRDAX_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) MIRDAX_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() MIRDAX_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class MIRDAX_SCOPED_CAPABILITY WriteLock {
 public:
  explicit WriteLock(SharedMutex& mutex) MIRDAX_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriteLock() MIRDAX_RELEASE() { mutex_.unlock(); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class MIRDAX_SCOPED_CAPABILITY ReadLock {
 public:
  explicit ReadLock(SharedMutex& mutex) MIRDAX_ACQUIRE_SHARED(mutex) : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ReadLock() MIRDAX_RELEASE_GENERIC() { mutex_.unlock_shared(); }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  SharedMutex& mutex_;
};

// A condition variable for Mutex. Wait() is called in a loop that tests the condition, with the
// mutex held. WaitFor() knows no schedule: it is for threads that wait for real time.
class CondVar {
 public:
  void Wait(Mutex& mutex) MIRDAX_REQUIRES(mutex) {
    if (thread_schedule == nullptr) [[likely]] {
      cv_.wait(mutex);
    } else {
      WaitInTurn(mutex);
    }
  }
  // False when `timeout` passed first.
  bool WaitFor(Mutex& mutex, std::chrono::nanoseconds timeout) MIRDAX_REQUIRES(mutex) {
    return cv_.wait_for(mutex, timeout) == std::cv_status::no_timeout;
  }
  void NotifyOne() {
    cv_.notify_one();
    if (thread_schedule != nullptr) [[unlikely]]
      thread_schedule->Released(this);
  }
  void NotifyAll() {
    cv_.notify_all();
    if (thread_schedule != nullptr) [[unlikely]]
      thread_schedule->Released(this);
  }

 private:
  // No step between the unlocking and the waiting: a notification there would be lost.
  void WaitInTurn(Mutex& mutex) {
    mutex.mutex_.unlock();
    thread_schedule->Released(&mutex);
    thread_schedule->Await(this, ThreadSchedule::Obstacle::kCondition);
    internal::LockInTurn(&mutex, [&mutex] { return mutex.mutex_.try_lock(); });
  }

  std::condition_variable_any cv_;
};

}  // namespace mirdax
