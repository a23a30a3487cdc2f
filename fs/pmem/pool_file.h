// SPDX-License-Identifier: BSD-2-Clause
// The file or device below a pool: found, checked, locked.
#pragma once

#include <memory>
#include <string>

#include "fs/base/result.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/region.h"

namespace mirdax {

// Holds the file open and locked (flock) until it is destroyed.
//
// Errors: as Pool says; each message begins with the path.
class PoolFile {
 public:
  static Result<std::unique_ptr<PoolFile>> Open(const std::string& path, PoolAccess access);

  PoolFile(const PoolFile&) = delete;
  PoolFile& operator=(const PoolFile&) = delete;
  ~PoolFile();

  // Maps it. `options.access` must be the one it was opened with.
  Result<std::unique_ptr<Region>> Map(const PoolOptions& options) const;

  const std::string& path() const noexcept { return path_; }
  int fd() const noexcept { return fd_; }
  uint64_t size() const noexcept { return size_; }  // bytes
  bool is_device() const noexcept { return is_device_; }

  // After the caller has changed the file's size.
  Status UpdateSize();

 private:
  PoolFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status Lock(PoolAccess access) const;

  const std::string path_;
  const int fd_;
  uint64_t size_ = 0;
  bool is_device_ = false;
};

}  // namespace mirdax
