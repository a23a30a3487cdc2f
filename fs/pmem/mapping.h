// SPDX-License-Identifier: BSD-2-Clause
// Memory from mmap(2), unmapped by the destructor.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "fs/base/result.h"

namespace mirdax {

class Mapping {
 public:
  // Zeros; costs memory only where it is written.
  static Result<Mapping> Anonymous(uint64_t size);
  // Stores reach the file's pages.
  static Result<Mapping> Shared(int fd, uint64_t size, const std::string& path);
  // There are no stores: one ends the process.
  static Result<Mapping> ReadOnly(int fd, uint64_t size, const std::string& path);
  // Stores stay in this mapping (copy on write).
  static Result<Mapping> Private(int fd, uint64_t size, const std::string& path);

  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping();

  std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  explicit Mapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  static Result<Mapping> Map(int fd, uint64_t size, int protection, int flags,
                             const std::string& what);

  std::span<std::byte> bytes_;
};

}  // namespace mirdax
