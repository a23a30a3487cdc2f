// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/recorder_region.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "fs/format/layout.h"

namespace mirdax {
namespace {

constexpr uint64_t kWordSize = 8;
constexpr uint64_t LineBegin(uint64_t offset) { return offset & ~(kLineSize - 1); }

// Leaves zero pages of `to` untouched where `from` has them too, so that they cost nothing.
void CopyImage(std::span<const std::byte> from, std::span<std::byte> to) {
  static constexpr std::array<std::byte, kBlockSize> kZero{};
  for (size_t at = 0; at < from.size(); at += kBlockSize) {
    const size_t step = std::min<size_t>(kBlockSize, from.size() - at);
    if (std::memcmp(from.data() + at, kZero.data(), step) != 0)
      std::memcpy(to.data() + at, from.data() + at, step);
  }
}

}  // namespace

RecorderRegion::RecorderRegion(Mapping memory, Mapping durable)
    : MappedRegion(memory.bytes(), Granularity::kCacheLine),
      memory_(std::move(memory)),
      durable_(std::move(durable)) {}

Result<std::unique_ptr<RecorderRegion>> RecorderRegion::Make(uint64_t size) {
  MIRDAX_CHECK(size % kLineSize == 0);
  MIRDAX_ASSIGN(Mapping memory, Mapping::Anonymous(size));
  MIRDAX_ASSIGN(Mapping durable, Mapping::Anonymous(size));
  return std::unique_ptr<RecorderRegion>(new RecorderRegion(std::move(memory), std::move(durable)));
}

Result<std::unique_ptr<RecorderRegion>> RecorderRegion::Create(uint64_t size) { return Make(size); }

Result<std::unique_ptr<RecorderRegion>> RecorderRegion::Create(std::span<const std::byte> image) {
  MIRDAX_ASSIGN(auto region, Make(image.size()));
  const MutexLock lock(region->mutex_);
  CopyImage(image, region->memory_.bytes());
  CopyImage(image, region->durable_.bytes());
  return region;
}

void RecorderRegion::Log(RegionEvent::Kind kind, uint64_t offset, uint64_t length,
                         std::span<const std::byte> bytes, bool failed) {
  ++sequence_;
  if (!logging_) return;
  log_.push_back(RegionEvent{.sequence = sequence_,
                             .kind = kind,
                             .offset = offset,
                             .length = length,
                             .bytes = {bytes.begin(), bytes.end()},
                             .thread = std::this_thread::get_id(),
                             .failed = failed});
}

void RecorderRegion::Touch(uint64_t offset, uint64_t length) {
  for (uint64_t line = LineBegin(offset); line < offset + length; line += kLineSize)
    touched_.insert(line);
}

void RecorderRegion::Write(uint64_t offset, std::span<const std::byte> bytes) {
  const MutexLock lock(mutex_);
  Copy(offset, bytes);
  Touch(offset, bytes.size());
  ++counts_.stores;
  Log(RegionEvent::Kind::kWrite, offset, bytes.size(), bytes);
}

void RecorderRegion::Stream(uint64_t offset, std::span<const std::byte> bytes) {
  const MutexLock lock(mutex_);
  Copy(offset, bytes);
  Touch(offset, bytes.size());
  flushed_[std::this_thread::get_id()].push_back({offset, bytes.size()});
  ++counts_.streams;
  Log(RegionEvent::Kind::kStream, offset, bytes.size(), bytes);
}

void RecorderRegion::StreamZeros(uint64_t offset, uint64_t length) {
  const MutexLock lock(mutex_);
  Zero(offset, length);
  Touch(offset, length);
  flushed_[std::this_thread::get_id()].push_back({offset, length});
  ++counts_.streams;
  Log(RegionEvent::Kind::kStreamZeros, offset, length, {});
}

void RecorderRegion::Store64(uint64_t offset, uint64_t value) {
  const MutexLock lock(mutex_);
  CopyWord(offset, value);
  Touch(offset, kWordSize);
  ++counts_.stores;
  Log(RegionEvent::Kind::kStore64, offset, kWordSize, std::as_bytes(std::span(&value, 1)));
}

void RecorderRegion::Flush(uint64_t offset, uint64_t length) {
  Address(offset, length);
  const MutexLock lock(mutex_);
  // A transport may have stored here without a call.
  Touch(offset, length);
  flushed_[std::this_thread::get_id()].push_back({offset, length});
  ++counts_.flushes;
  Log(RegionEvent::Kind::kFlush, offset, length, {});
}

bool RecorderRegion::DrainFails() {
  if (fail_in_ == 0) return false;
  if (fail_in_ > 1) {
    --fail_in_;
    return false;
  }
  if (!fail_on_) fail_in_ = 0;
  return true;
}

Status RecorderRegion::Drain() {
  const MutexLock lock(mutex_);
  ++counts_.drains;
  if (DrainFails()) {
    Log(RegionEvent::Kind::kDrain, 0, 0, {}, true);
    return Fail(ErrorCode::kIo, "a drain failed on purpose");
  }
  Log(RegionEvent::Kind::kDrain, 0, 0, {});
  for (const PoolRange& range : std::exchange(flushed_[std::this_thread::get_id()], {})) {
    for (uint64_t line = LineBegin(range.offset); line < range.end(); line += kLineSize) {
      if (touched_.erase(line) == 0) continue;
      std::memcpy(durable_.bytes().data() + line, memory_.bytes().data() + line, kLineSize);
      ++counts_.drained_lines;
    }
  }
  return {};
}

RecorderRegion::Counts RecorderRegion::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

void RecorderRegion::ResetCounts() {
  const MutexLock lock(mutex_);
  counts_ = {};
}

void RecorderRegion::StartLog() {
  const MutexLock lock(mutex_);
  logging_ = true;
}

std::vector<RegionEvent> RecorderRegion::TakeLog() {
  const MutexLock lock(mutex_);
  return std::exchange(log_, {});
}

void RecorderRegion::FailDrain(uint64_t n, bool from_then_on) {
  const MutexLock lock(mutex_);
  fail_in_ = n;
  fail_on_ = from_then_on;
}

std::vector<uint64_t> RecorderRegion::InFlightLines() const {
  const MutexLock lock(mutex_);
  std::vector<uint64_t> lines;
  for (const uint64_t line : touched_)
    if (std::memcmp(memory_.bytes().data() + line, durable_.bytes().data() + line, kLineSize) != 0)
      lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

Result<Mapping> RecorderRegion::CrashImage(std::span<const LandedLine> landed) const {
  const MutexLock lock(mutex_);
  MIRDAX_ASSIGN(Mapping image, Mapping::Anonymous(memory_.bytes().size()));
  CopyImage(durable_.bytes(), image.bytes());
  for (const LandedLine& line : landed) {
    const std::byte* from = Address(line.offset, kLineSize);
    for (unsigned word = 0; word < kLineSize / kWordSize; ++word) {
      if ((line.words & 1U << word) == 0) continue;
      std::memcpy(image.bytes().data() + line.offset + word * kWordSize, from + word * kWordSize,
                  kWordSize);
    }
  }
  return image;
}

}  // namespace mirdax
