// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/shadow_region.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "fs/format/layout.h"

namespace mirdax {
namespace {

constexpr unsigned kWholeLine = 0xff;  // a bit for each of its eight words

uint64_t LineBegin(uint64_t offset) { return offset & ~(kLineSize - 1); }

}  // namespace

ShadowRegion::ShadowRegion(Mapping view, Mapping pool, Granularity granularity,
                           std::optional<uint64_t> half_seed)
    : MappedRegion(view.bytes(), granularity),
      view_(std::move(view)),
      pool_(std::move(pool)),
      half_(half_seed.has_value()),
      owed_(kLineSize, 0),
      coin_(static_cast<uint32_t>(half_seed.value_or(0) * 0x9e3779b97f4a7c15U >> 32U)) {
  bad_ranges().AlsoWatch(pool_.bytes());
}

void ShadowRegion::Write(uint64_t offset, std::span<const std::byte> bytes) {
  Copy(offset, bytes);
  MaybeLeak(offset, bytes.size());
}

void ShadowRegion::Stream(uint64_t offset, std::span<const std::byte> bytes) {
  Copy(offset, bytes);
  Flush(offset, bytes.size());
}

void ShadowRegion::StreamZeros(uint64_t offset, uint64_t length) {
  Zero(offset, length);
  Flush(offset, length);
}

void ShadowRegion::Store64(uint64_t offset, uint64_t value) {
  CopyWord(offset, value);
  MaybeLeak(offset, sizeof(value));
}

void ShadowRegion::Flush(uint64_t offset, uint64_t length) {
  Address(offset, length);
  owed_.Add(offset, length);
  MaybeLeak(offset, length);
}

Status ShadowRegion::Drain() {
  return owed_.Drain([this](std::span<const PoolRange> ranges, bool) -> Status {
    for (const PoolRange& range : ranges)
      for (uint64_t line = range.offset; line < range.end(); line += kLineSize)
        CopyLine(line, kWholeLine);
    return {};
  });
}

void ShadowRegion::CopyLine(uint64_t offset, unsigned words) const {
  auto* from = reinterpret_cast<uint64_t*>(view_.bytes().data() + offset);
  auto* to = reinterpret_cast<uint64_t*>(pool_.bytes().data() + offset);
  for (unsigned i = 0; i < kLineSize / sizeof(uint64_t); ++i) {
    if ((words & 1U << i) == 0) continue;
    const uint64_t word = std::atomic_ref(from[i]).load(std::memory_order_relaxed);
    std::atomic_ref(to[i]).store(word, std::memory_order_relaxed);
  }
}

void ShadowRegion::MaybeLeak(uint64_t offset, uint64_t length) {
  if (!half_ || length == 0) return;
  const MutexLock lock(mutex_);
  for (uint64_t line = LineBegin(offset); line < offset + length; line += kLineSize) {
    // Half of the lines leak; a quarter of these are torn.
    const auto toss = static_cast<unsigned>(coin_() >> 8U);
    if ((toss & 1U) == 0) continue;
    CopyLine(line, (toss & 6U) == 0 ? toss >> 3U & kWholeLine : kWholeLine);
  }
}

}  // namespace mirdax
