// SPDX-License-Identifier: BSD-2-Clause
// A region that stops before each store, flush and drain: where a power cut may come.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "fs/pmem/region.h"

namespace mirdax::test {

// Threads: as Region; the hook is called by the thread that makes the call.
class HookedRegion final : public Region {
 public:
  explicit HookedRegion(std::unique_ptr<Region> region) : region_(std::move(region)) {}

  void SetHook(std::function<void()> hook) { hook_ = std::move(hook); }

  std::span<std::byte> memory() noexcept override { return region_->memory(); }
  Granularity granularity() const noexcept override { return region_->granularity(); }
  const BadRanges& bad() const noexcept override { return region_->bad(); }
  void Write(uint64_t offset, std::span<const std::byte> bytes) override {
    Call();
    region_->Write(offset, bytes);
  }
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override {
    Call();
    region_->Stream(offset, bytes);
  }
  void StreamZeros(uint64_t offset, uint64_t length) override {
    Call();
    region_->StreamZeros(offset, length);
  }
  void Store64(uint64_t offset, uint64_t value) override {
    Call();
    region_->Store64(offset, value);
  }
  void Flush(uint64_t offset, uint64_t length) override {
    Call();
    region_->Flush(offset, length);
  }
  Status Drain() override {
    Call();
    return region_->Drain();
  }

 private:
  void Call() {
    if (hook_) hook_();
  }

  const std::unique_ptr<Region> region_;
  std::function<void()> hook_;
};

}  // namespace mirdax::test
