// SPDX-License-Identifier: BSD-2-Clause
// What each thread is exploring, for the message when the process dies of it.
#pragma once

#include <cstdint>
#include <string>

#include "tests/crash/workload.h"

namespace mirdax::crash {

// `workload` (null: none) stays as it is until the next call of this thread.
void SetCurrentCase(const Workload* workload, uint64_t point, uint64_t subset) noexcept;

// The fault that goes with it, in words of the command line that repeats it; null: none.
void SetCurrentFault(const std::string* arguments) noexcept;

// From now on a failed MIRDAX_CHECK, a memory fault or an abort prints the thread's current case
// before the process ends.
void ReportCaseOnAbort();

}  // namespace mirdax::crash
