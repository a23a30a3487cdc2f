// SPDX-License-Identifier: BSD-2-Clause
// A directory of a test's own, removed with everything in it.
#pragma once

#include <string>

namespace mirdax::test {

class TempDir {
 public:
  // Below `parent`; ends the process when it cannot be made.
  explicit TempDir(const std::string& parent = "/tmp");
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  const std::string& path() const noexcept { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace mirdax::test
