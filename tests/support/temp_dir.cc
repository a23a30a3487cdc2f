// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "fs/base/check.h"

namespace mirdax::test {

TempDir::TempDir(const std::string& parent) : path_(parent + "/mirdax-test-XXXXXX") {
  MIRDAX_CHECK(mkdtemp(path_.data()) != nullptr);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mirdax::test
