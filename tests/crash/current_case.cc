// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/current_case.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

namespace mirdax::crash {
namespace {

constexpr unsigned kLastWordsSeconds = 20;

thread_local CurrentCase* current = nullptr;
thread_local std::atomic<uint64_t>* clock_of_watch = nullptr;

uint64_t NowMs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

void SetClock(uint64_t begun_ms) noexcept {
  if (clock_of_watch != nullptr) *clock_of_watch = begun_ms;
}

}  // namespace

CurrentCase::CurrentCase(Report report, Deadline deadline)
    : report_(std::move(report)), deadline_(deadline) {
  current = this;
  SetClock(NowMs());
}

CurrentCase::~CurrentCase() {
  current = nullptr;
  SetClock(0);
}

CurrentCase* CurrentCase::OfThread() noexcept { return current; }

CurrentCase::Helper::Helper(CurrentCase* whose) noexcept { current = whose; }
CurrentCase::Helper::~Helper() { current = nullptr; }

void CurrentCase::Restart() const noexcept {
  if (deadline_ == Deadline::kForEachImage) SetClock(NowMs());
}

void CurrentCase::SetCopy(uint64_t copy) noexcept {
  if (current != nullptr) current->image_.copy = copy;
}

void CurrentCase::SetImage(uint64_t point, uint64_t subset, const CheckDepth& depth) noexcept {
  if (current == nullptr) return;
  current->image_ = {current->image_.copy, point, subset, depth};
  current->at_image_ = true;
  current->Restart();
}

void CurrentCase::LeaveImages() noexcept {
  if (current == nullptr) return;
  current->at_image_ = false;
  current->Restart();
}

// The process ends anyway, so what a handler may not call is called: better a rare hang, which the
// alarm ends, than never a word.
void CurrentCase::OnSignal(int number) {
  std::signal(number, SIG_DFL);
  alarm(kLastWordsSeconds);
  if (current != nullptr) {
    fmt::print(stderr, "dies of signal {}\n", number);
    current->report_(current->at_image_ ? &current->image_ : nullptr);
    std::fflush(stderr);
  }
  std::raise(number);
}

void CurrentCase::ReportOnAbort() {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
    std::signal(number, &CurrentCase::OnSignal);
}

HangWatch::HangWatch(std::chrono::milliseconds deadline)
    : deadline_(deadline), thread_([this] { Loop(); }) {}

HangWatch::~HangWatch() {
  done_ = true;
  thread_.join();
}

void HangWatch::Loop() {
  while (!done_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const MutexLock lock(mutex_);
    for (const Watched* watched : watched_) {
      const uint64_t begun = watched->begun_ms_;
      const uint64_t now = NowMs();
      if (begun == 0 || now < begun || now - begun < static_cast<uint64_t>(deadline_.count()))
        continue;
      fmt::print(stderr, "no end after {} s\n", static_cast<double>(deadline_.count()) / 1000);
      std::fflush(stderr);
      pthread_kill(watched->thread_, SIGABRT);  // says which case it is
      return;
    }
  }
}

HangWatch::Watched::Watched(HangWatch& watch) : watch_(watch), thread_(pthread_self()) {
  clock_of_watch = &begun_ms_;
  const MutexLock lock(watch_.mutex_);
  watch_.watched_.push_back(this);
}

HangWatch::Watched::~Watched() {
  clock_of_watch = nullptr;
  const MutexLock lock(watch_.mutex_);
  watch_.watched_.remove(this);
}

}  // namespace mirdax::crash
