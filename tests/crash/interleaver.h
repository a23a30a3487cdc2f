// SPDX-License-Identifier: BSD-2-Clause
// Runs a few threads one at a time, in turns that a seed decides.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fs/base/thread_schedule.h"

namespace mirdax::crash {

// Each client is a thread of its own; the one whose turn it is runs, the others stand still. Whose
// turn is next is decided at each step (thread_schedule.h: every lock and unlock of the engine;
// every store, flush and drain of an ImageRegion), by chance among those that wait for nothing. How
// likely a switch is depends on the seed too: some runs change hands at nearly every step, others
// let a client get far before another one goes on; both find what the other does not.
//
// So the same seed and the same bodies give the same run.
//
// Errors:  clients that all wait for each other, or go on for kMostSteps, are a defect of what is
//          tested: the process says so and aborts.
// Threads: of the object itself, one; Step() and so on by its clients.
class Interleaver final : public ThreadSchedule {
 public:
  static constexpr uint64_t kMostSteps = 1'000'000;

  // `resumed` is called on a client's thread whenever it gets its turn.
  Interleaver(unsigned clients, uint64_t seed, std::function<void(unsigned client)> resumed);
  ~Interleaver() override;
  Interleaver(const Interleaver&) = delete;
  Interleaver& operator=(const Interleaver&) = delete;

  // Client i runs bodies[i] on its own thread, the same in every call; returns when all have ended.
  void Run(std::vector<std::function<void()>> bodies);

  // Says which run it was: of every turn, when it began and whose it was.
  uint64_t fingerprint() const noexcept { return fingerprint_; }
  // How often a client has waited for a condition. Its own to ask, or anybody's between runs.
  uint64_t conditions_awaited(unsigned client) const { return clients_[client].conditions; }

  void Step() override;
  void Await(const void* what, Obstacle obstacle) override;
  void Released(const void* what) override;

 private:
  enum class State : uint8_t { kIdle, kReady, kWaiting, kEnding };
  struct Client {
    State state = State::kIdle;
    const void* awaited = nullptr;
    Obstacle obstacle = Obstacle::kLock;
    uint64_t conditions = 0;
    std::function<void()> body;
    std::condition_variable turn;
    std::thread thread;
  };
  static constexpr unsigned kNobody = ~0U;

  void Live(unsigned client);
  // Gives the turn to `next` and waits until it is `self`'s again.
  void HandOver(std::unique_lock<std::mutex>& lock, unsigned self, unsigned next);
  void WaitForTurn(std::unique_lock<std::mutex>& lock, unsigned self);
  unsigned PickReady();  // kNobody: all are idle
  [[noreturn]] void GiveUp(const char* why) const;

  const std::function<void(unsigned)> resumed_;
  std::mt19937_64 random_;
  const uint64_t period_;  // a step is followed by a switch about once in so many
  std::mutex mutex_;       // guards what follows; not one of mutex.h, which would ask for a turn
  std::condition_variable idle_;
  std::vector<Client> clients_;
  unsigned running_ = kNobody;
  uint64_t steps_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace mirdax::crash
