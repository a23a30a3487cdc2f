// SPDX-License-Identifier: BSD-2-Clause
// A report for people and for programs.
#pragma once

#include <string>

#include "tools/fsck/check.h"

namespace mirdax::fsck {

// One line a finding, with what repair would do, then a summary. `verbose` adds what was counted.
std::string RenderText(const FsckReport& report, const std::string& pool, bool verbose);
// {"pool":..., "clean":...,
// "findings":[{"code","severity","text","inode","block","path","fix"}],...}
std::string RenderJson(const FsckReport& report, const std::string& pool);

}  // namespace mirdax::fsck
