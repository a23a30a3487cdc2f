// SPDX-License-Identifier: BSD-2-Clause
// Checks a ledger against what was acknowledged.
#pragma once

#include <string>
#include <vector>

#include "tests/system/ledger/record.h"

namespace mirdax::ledger {

// What is wrong with the ledger in `directory`, in words; empty when nothing is.
//
// Each place may hold its last acknowledged version or the one that was being written when the
// filesystem stopped, whole; an overwrite in place may be a mix of these two, byte by byte, and a
// file being made may hold any first part of its record. Anything else was lost, or was never
// written there.
std::vector<std::string> CheckLedger(const std::string& directory, const Notes& notes,
                                     unsigned files);

}  // namespace mirdax::ledger
