// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/interleaver.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

namespace mirdax::crash {
namespace {

thread_local unsigned this_client = 0;

constexpr uint64_t kPeriods[] = {2, 4, 12, 40};

}  // namespace

Interleaver::Interleaver(unsigned clients, uint64_t seed,
                         std::function<void(unsigned client)> resumed)
    : resumed_(std::move(resumed)),
      random_(seed * 0x9e3779b97f4a7c15U + 1),
      period_(kPeriods[random_() % std::size(kPeriods)]),
      clients_(clients) {
  for (unsigned i = 0; i < clients; ++i) clients_[i].thread = std::thread([this, i] { Live(i); });
}

Interleaver::~Interleaver() {
  for (unsigned i = 0; i < clients_.size(); ++i) {
    {
      std::lock_guard lock(mutex_);
      clients_[i].state = State::kEnding;
    }
    clients_[i].turn.notify_one();
    clients_[i].thread.join();
  }
}

void Interleaver::Run(std::vector<std::function<void()>> bodies) {
  std::unique_lock lock(mutex_);
  for (unsigned i = 0; i < bodies.size(); ++i) {
    if (!bodies[i]) continue;
    clients_[i].body = std::move(bodies[i]);
    clients_[i].state = State::kReady;
  }
  running_ = PickReady();
  if (running_ == kNobody) return;
  clients_[running_].turn.notify_one();
  idle_.wait(lock, [this] { return running_ == kNobody; });
}

void Interleaver::Live(unsigned client) {
  this_client = client;
  Client& self = clients_[client];
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      self.turn.wait(lock, [&] { return running_ == client || self.state == State::kEnding; });
      if (self.state == State::kEnding) return;
    }
    resumed_(client);
    thread_schedule = this;
    self.body();
    thread_schedule = nullptr;
    std::lock_guard lock(mutex_);
    self.state = State::kIdle;
    running_ = PickReady();
    if (running_ == kNobody) {
      idle_.notify_one();
    } else {
      clients_[running_].turn.notify_one();
    }
  }
}

unsigned Interleaver::PickReady() {
  unsigned ready = 0;
  bool waiting = false;
  for (const Client& client : clients_) {
    ready += client.state == State::kReady ? 1 : 0;
    waiting = waiting || client.state == State::kWaiting;
  }
  if (ready == 0) {
    if (waiting) GiveUp("each client waits for another");
    return kNobody;
  }
  uint64_t nth = random_() % ready;
  unsigned next = 0;
  while (clients_[next].state != State::kReady || nth-- > 0) ++next;
  if (next != running_) {
    fingerprint_ = (fingerprint_ ^ (steps_ * 8 + next + 1)) * 0x9e3779b97f4a7c15U;
    fingerprint_ ^= fingerprint_ >> 29;
  }
  return next;
}

void Interleaver::WaitForTurn(std::unique_lock<std::mutex>& lock, unsigned self) {
  clients_[self].turn.wait(lock, [&] { return running_ == self; });
  lock.unlock();
  resumed_(self);
}

void Interleaver::HandOver(std::unique_lock<std::mutex>& lock, unsigned self, unsigned next) {
  if (next == self) return;
  running_ = next;
  clients_[next].turn.notify_one();
  WaitForTurn(lock, self);
}

void Interleaver::Step() {
  std::unique_lock lock(mutex_);
  if (++steps_ > kMostSteps) GiveUp("the clients come to no end");
  if (random_() % period_ != 0) return;
  HandOver(lock, this_client, PickReady());
}

void Interleaver::Await(const void* what, Obstacle obstacle) {
  std::unique_lock lock(mutex_);
  Client& self = clients_[this_client];
  self.state = State::kWaiting;
  self.awaited = what;
  self.obstacle = obstacle;
  if (obstacle == Obstacle::kCondition) ++self.conditions;
  HandOver(lock, this_client, PickReady());
}

void Interleaver::Released(const void* what) {
  std::lock_guard lock(mutex_);
  for (Client& client : clients_) {
    if (client.state == State::kWaiting && client.awaited == what) client.state = State::kReady;
  }
}

void Interleaver::GiveUp(const char* why) const {
  fmt::print(stderr, "after {} steps {}\n", steps_, why);
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].state != State::kWaiting) continue;
    const bool lock = clients_[i].obstacle == Obstacle::kLock;
    fmt::print(stderr, "  client {} waits for the {} at {}\n", i + 1, lock ? "lock" : "condition",
               clients_[i].awaited);
  }
  std::abort();
}

}  // namespace mirdax::crash
