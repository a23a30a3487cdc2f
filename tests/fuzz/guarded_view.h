// SPDX-License-Identifier: BSD-2-Clause
// A pool image that many inputs start from, and the view of it that each input spoils.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "fs/base/ranges.h"
#include "fs/pmem/mapped_region.h"

namespace mirdax::fuzz {

// The bytes, kept once, in memory that can be mapped copy-on-write.
class BaseImage {
 public:
  explicit BaseImage(std::span<const std::byte> bytes);
  BaseImage(const BaseImage&) = delete;
  BaseImage& operator=(const BaseImage&) = delete;
  ~BaseImage();

  int fd() const noexcept { return fd_; }
  uint64_t size() const noexcept { return size_; }

 private:
  const int fd_;
  const uint64_t size_;
};

// A private view of a base image; costs what is written. Memory before and behind it may not be
// touched, so that an access outside the pool is seen (R9). Remembers where it was stored to.
//
// Threads: one.
class GuardedView final : public MappedRegion {
 public:
  explicit GuardedView(const BaseImage& base);
  GuardedView(const GuardedView&) = delete;
  GuardedView& operator=(const GuardedView&) = delete;
  ~GuardedView() override;

  void Write(uint64_t offset, std::span<const std::byte> bytes) override;
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override;
  void StreamZeros(uint64_t offset, uint64_t length) override;
  void Store64(uint64_t offset, uint64_t value) override;
  void Flush(uint64_t offset, uint64_t length) override { Address(offset, length); }
  Status Drain() override { return {}; }

  // Stores since the last ForgetStores().
  const std::vector<PoolRange>& stores() const noexcept { return stores_; }
  void ForgetStores() { stores_.clear(); }

 private:
  std::vector<PoolRange> stores_;
};

}  // namespace mirdax::fuzz
