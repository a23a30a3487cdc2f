// SPDX-License-Identifier: BSD-2-Clause
// The part of a Region that its implementations share: checked stores into mapped memory, and the
// watch over what the medium refuses.
#pragma once

#include "fs/pmem/region.h"

namespace mirdax {

class MappedRegion : public Region {
 public:
  std::span<std::byte> memory() noexcept final { return memory_; }
  Granularity granularity() const noexcept final { return granularity_; }
  const BadRanges& bad() const noexcept final { return bad_; }

 protected:
  MappedRegion(std::span<std::byte> memory, Granularity granularity)
      : memory_(memory), granularity_(granularity), bad_(memory) {}

  // Where [offset, offset + length) lies; ends the process when it is not inside the pool (R9).
  std::byte* Address(uint64_t offset, uint64_t length) const {
    MIRDAX_CHECK(offset <= memory_.size() && length <= memory_.size() - offset);
    return memory_.data() + offset;
  }
  void Copy(uint64_t offset, std::span<const std::byte> bytes) const;
  void Zero(uint64_t offset, uint64_t length) const;
  void CopyWord(uint64_t offset, uint64_t value) const;
  BadRanges& bad_ranges() noexcept { return bad_; }

 private:
  const std::span<std::byte> memory_;
  const Granularity granularity_;
  BadRanges bad_;
};

}  // namespace mirdax
