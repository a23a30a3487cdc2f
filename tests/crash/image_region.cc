// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/image_region.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "fs/base/thread_schedule.h"
#include "fs/format/layout.h"
#include "tests/crash/faults.h"

namespace mirdax::crash {
namespace {

constexpr uint64_t kFirstPrivateLine = kPrivateBlockOffset / kLineSize;

// Of one line at one place; the hash of an image is the sum of its lines' by exclusive or.
uint64_t HashLine(uint64_t number, ImageRegion::Line line) {
  uint64_t words[kLineSize / sizeof(uint64_t)];
  std::memcpy(words, line.data(), sizeof(words));
  uint64_t hash = (number + 1) * 0x9e3779b97f4a7c15U;
  for (const uint64_t word : words) {
    hash = (hash ^ word) * 0xbf58476d1ce4e5b9U;
    hash ^= hash >> 32;
  }
  hash *= 0x94d049bb133111ebU;
  return hash ^ (hash >> 29);
}

}  // namespace

ImageRegion::ImageRegion(Mapping memory)
    : MappedRegion(memory.bytes(), Granularity::kCacheLine),
      mapping_(std::move(memory)),
      saved_by_(mapping_.bytes().size() / kLineSize, 0) {
  for (uint64_t line = 0; line < saved_by_.size(); ++line) hash_ ^= HashLine(line, LineAt(line));
}

Result<std::unique_ptr<ImageRegion>> ImageRegion::Create(std::span<const std::byte> image) {
  MIRDAX_CHECK(image.size() % kLineSize == 0);
  MIRDAX_ASSIGN(Mapping memory, Mapping::Anonymous(image.size()));
  std::memcpy(memory.bytes().data(), image.data(), image.size());
  return std::unique_ptr<ImageRegion>(new ImageRegion(std::move(memory)));
}

ImageRegion::Line ImageRegion::LineAt(uint64_t number) const {
  return Line(mapping_.bytes().data() + number * kLineSize, kLineSize);
}

void ImageRegion::Save(uint64_t offset, uint64_t length) {
  Address(offset, length);  // inside the pool, or the process ends (R9)
  if (length == 0 || levels_.empty()) return;
  const Faults::Aside aside;
  hash_stale_ = true;
  const uint32_t serial = levels_.back().serial;
  for (uint64_t line = offset / kLineSize; line * kLineSize < offset + length; ++line) {
    if (saved_by_[line] == serial) continue;
    Saved saved{.line = line, .last_level = saved_by_[line], .bytes = {}};
    std::ranges::copy(LineAt(line), saved.bytes.begin());
    saved_.push_back(saved);
    saved_by_[line] = serial;
  }
}

void ImageRegion::Begin() {
  levels_.push_back({.serial = next_serial_++, .first_saved = saved_.size(), .hash = Hash()});
}

void ImageRegion::Undo() {
  MIRDAX_CHECK(!levels_.empty());
  while (saved_.size() > levels_.back().first_saved) {
    const Saved& saved = saved_.back();
    std::ranges::copy(saved.bytes, Address(saved.line * kLineSize, kLineSize));
    saved_by_[saved.line] = saved.last_level;
    saved_.pop_back();
  }
  hash_ = levels_.back().hash;
  hash_stale_ = false;
  levels_.pop_back();
}

uint64_t ImageRegion::Hash() {
  if (!hash_stale_) return hash_;
  hash_ = levels_.back().hash;
  for (size_t i = levels_.back().first_saved; i < saved_.size(); ++i) {
    hash_ ^= HashLine(saved_[i].line, saved_[i].bytes);
    hash_ ^= HashLine(saved_[i].line, LineAt(saved_[i].line));
  }
  hash_stale_ = false;
  return hash_;
}

bool ImageRegion::ChangedOutsidePrivate() const {
  for (size_t i = levels_.back().first_saved; i < saved_.size(); ++i) {
    const Saved& saved = saved_[i];
    const bool is_private =
        saved.line >= kFirstPrivateLine && saved.line < kFirstPrivateLine + 2 * kLinesPerBlock;
    if (!is_private && !std::ranges::equal(saved.bytes, LineAt(saved.line))) return true;
  }
  return false;
}

uint64_t ImageRegion::HashWithoutPrivate() {
  uint64_t hash = Hash();
  for (uint64_t line = kFirstPrivateLine; line < kFirstPrivateLine + 2 * kLinesPerBlock; ++line) {
    hash ^= HashLine(line, LineAt(line));
  }
  return hash;
}

void ImageRegion::Log(RegionEvent::Kind kind, uint64_t offset, uint64_t length,
                      std::span<const std::byte> bytes, bool failed) {
  if (!logging_) return;
  const Faults::Aside aside;
  log_.push_back(RegionEvent{
      .sequence = ++*events_,
      .kind = kind,
      .offset = offset,
      .length = length,
      .bytes = {bytes.begin(), bytes.end()},
      .thread = thread_schedule == nullptr ? std::thread::id() : std::this_thread::get_id(),
      .failed = failed});
}

void ImageRegion::LogTaken(RegionEvent::Kind kind, uint64_t offset, uint64_t length,
                           std::span<const std::byte> bytes) {
  if (!bad().any()) return Log(kind, offset, length, bytes);
  const uint64_t end = offset + length;
  for (uint64_t at = offset; at < end;) {
    const uint64_t next = std::min(end, (at / kBlockSize + 1) * kBlockSize);
    const auto part = bytes.empty() ? bytes : bytes.subspan(at - offset, next - at);
    if (!bad().Overlaps(at, next - at)) Log(kind, at, next - at, part);
    at = next;
  }
}

void ImageRegion::StartLog(uint64_t* events) {
  logging_ = true;
  own_events_ = 0;
  events_ = events == nullptr ? &own_events_ : events;
}

// Another client may go on before what this one does to the pool, and is not in the log yet.
void ImageRegion::Step() {
  if (thread_schedule != nullptr) thread_schedule->Step();
}

std::vector<RegionEvent> ImageRegion::TakeLog() {
  logging_ = false;
  return std::exchange(log_, {});
}

void ImageRegion::Write(uint64_t offset, std::span<const std::byte> bytes) {
  Step();
  Save(offset, bytes.size());
  Copy(offset, bytes);
  LogTaken(RegionEvent::Kind::kWrite, offset, bytes.size(), bytes);
}

void ImageRegion::Stream(uint64_t offset, std::span<const std::byte> bytes) {
  Step();
  Save(offset, bytes.size());
  Copy(offset, bytes);
  LogTaken(RegionEvent::Kind::kStream, offset, bytes.size(), bytes);
}

void ImageRegion::StreamZeros(uint64_t offset, uint64_t length) {
  Step();
  Save(offset, length);
  Zero(offset, length);
  LogTaken(RegionEvent::Kind::kStreamZeros, offset, length, {});
}

void ImageRegion::Store64(uint64_t offset, uint64_t value) {
  Step();
  Save(offset, sizeof(value));
  CopyWord(offset, value);
  LogTaken(RegionEvent::Kind::kStore64, offset, sizeof(value), std::as_bytes(std::span(&value, 1)));
}

void ImageRegion::Flush(uint64_t offset, uint64_t length) {
  Step();
  Address(offset, length);
  Log(RegionEvent::Kind::kFlush, offset, length, {});
}

Status ImageRegion::Drain() {
  Step();
  const bool fails = drain_fails_ && drain_fails_();
  Log(RegionEvent::Kind::kDrain, 0, 0, {}, fails);
  if (fails) return Fail(ErrorCode::kIo, "a drain failed on purpose");
  return {};
}

void ImageRegion::Put(uint64_t offset, Line line) {
  Save(offset, kLineSize);
  Copy(offset, line);
}

}  // namespace mirdax::crash
