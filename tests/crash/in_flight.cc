// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/in_flight.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mirdax::crash {
namespace {

constexpr uint64_t LineBegin(uint64_t offset) { return offset & ~(kLineSize - 1); }

}  // namespace

void InFlight::Store(uint64_t offset, std::span<const std::byte> bytes, uint64_t length) {
  for (uint64_t line = LineBegin(offset); line < offset + length; line += kLineSize) {
    Pending& pending = lines_[line];
    LineBytes now;
    if (pending.contents.empty()) {
      std::memcpy(now.data(), durable_.At(line, kLineSize), kLineSize);
    } else {
      now = pending.contents.back();
    }
    const LineBytes before = now;
    const uint64_t from = std::max(line, offset);
    const uint64_t to = std::min(line + kLineSize, offset + length);
    if (bytes.empty()) {
      std::memset(now.data() + (from - line), 0, to - from);
    } else {
      std::memcpy(now.data() + (from - line), bytes.data() + (from - offset), to - from);
    }
    if (now != before) pending.contents.push_back(now);
  }
}

void InFlight::Flush(uint64_t offset, uint64_t length, std::thread::id thread) {
  for (uint64_t line = LineBegin(offset); line < offset + length; line += kLineSize) {
    const auto it = lines_.find(line);
    if (it == lines_.end()) continue;
    flushed_[thread].push_back({line, it->second.dropped + it->second.contents.size()});
  }
}

void InFlight::Drain(std::thread::id thread) {
  for (const Mark& mark : std::exchange(flushed_[thread], {})) {
    const auto it = lines_.find(mark.offset);
    if (it == lines_.end()) continue;
    Pending& pending = it->second;
    if (mark.stores <= pending.dropped) continue;  // another flush covered more
    const size_t durable = mark.stores - pending.dropped;
    durable_.Put(mark.offset, pending.contents[durable - 1]);
    pending.contents.erase(pending.contents.begin(),
                           pending.contents.begin() + static_cast<ptrdiff_t>(durable));
    pending.dropped = mark.stores;
  }
}

void InFlight::Replay(const RegionEvent& event) {
  switch (event.kind) {
    case RegionEvent::Kind::kWrite:
    case RegionEvent::Kind::kStore64:
      return Store(event.offset, event.bytes, event.length);
    case RegionEvent::Kind::kStream:
    case RegionEvent::Kind::kStreamZeros:
      Store(event.offset, event.bytes, event.length);
      return Flush(event.offset, event.length, event.thread);
    case RegionEvent::Kind::kFlush:
      return Flush(event.offset, event.length, event.thread);
    case RegionEvent::Kind::kDrain:
      if (!event.failed) Drain(event.thread);
      return;
  }
}

std::vector<FlyingLine> InFlight::Lines() {
  std::vector<FlyingLine> result;
  for (const auto& [offset, pending] : lines_) {
    FlyingLine line{offset, {}};
    const std::byte* durable = durable_.At(offset, kLineSize);
    for (const LineBytes& contents : pending.contents) {
      if (std::memcmp(contents.data(), durable, kLineSize) != 0) line.contents.push_back(contents);
    }
    if (!line.contents.empty()) result.push_back(std::move(line));
  }
  return result;
}

}  // namespace mirdax::crash
