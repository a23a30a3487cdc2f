// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/current_case.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>

namespace mirdax::crash {
namespace {

struct Case {
  const Workload* workload = nullptr;
  uint64_t point = 0;
  uint64_t subset = 0;
};
thread_local Case current_case;
thread_local const std::string* current_fault = nullptr;

// The process ends anyway, so what a handler may not call is called: better a rare hang than never
// a word.
void Report(int signal_number) {
  std::signal(signal_number, SIG_DFL);
  if (current_fault != nullptr) {
    fmt::print(stderr, "dies of signal {} with {}\n", signal_number, *current_fault);
    std::fflush(stderr);
  } else if (current_case.workload != nullptr) {
    fmt::print(stderr, "crash_explorer dies of signal {} at point {}, subset {} of\n{}",
               signal_number, current_case.point, current_case.subset,
               PrintWorkload(*current_case.workload));
    std::fflush(stderr);
  }
  std::raise(signal_number);
}

}  // namespace

void SetCurrentCase(const Workload* workload, uint64_t point, uint64_t subset) noexcept {
  current_case = {workload, point, subset};
}

void SetCurrentFault(const std::string* arguments) noexcept { current_fault = arguments; }

void ReportCaseOnAbort() {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, Report);
}

}  // namespace mirdax::crash
