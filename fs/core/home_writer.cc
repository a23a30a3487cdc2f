// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/home_writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fs/base/mutant.h"
#include "fs/core/meta_buffer.h"

namespace mirdax {

void HomeWriter::Apply(std::span<const Patch> patches, std::span<const std::byte> bytes) {
  for (const Patch& patch : patches) {
    region_.Write(patch.offset, bytes.first(patch.length));
    bytes = bytes.subspan(patch.length);
    for (uint64_t at = patch.offset; at < patch.offset + patch.length;) {
      const uint64_t inside = at % kBlockSize;
      const uint64_t length = std::min(kBlockSize - inside, patch.offset + patch.length - at);
      const bool whole = !Mutated(Mutant::kHomeLastLineForgotten) || length <= kLineSize;
      owed_[at / kBlockSize] |= LineMask(inside, whole ? length : length - kLineSize);
      at += length;
    }
  }
}

Status HomeWriter::Persist() {
  if (Mutated(Mutant::kHomeNotFlushed)) owed_.clear();
  if (owed_.empty()) return {};
  // In order, so that neighbouring pages become one system call where a flush is one.
  std::vector<std::pair<BlockNo, uint64_t>> lines(owed_.begin(), owed_.end());
  std::ranges::sort(lines);
  for (const auto& [block, mask] : lines) {
    ForEachRun(mask, [&, base = block * kBlockSize](uint64_t first, uint64_t count) {
      region_.Flush(base + first * kLineSize, count * kLineSize);
    });
  }
  if (!Mutated(Mutant::kHomeNotDrained)) MIRDAX_TRY(region_.Drain());
  if (region_.bad().any()) {
    for (const auto& [block, mask] : lines)
      MIRDAX_TRY(region_.CheckGood(block * kBlockSize, kBlockSize));
  }
  owed_.clear();
  return {};
}

}  // namespace mirdax
