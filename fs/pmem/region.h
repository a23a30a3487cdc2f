// SPDX-License-Identifier: BSD-2-Clause
// A mapped pool: every store to PM goes through here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fs/base/check.h"
#include "fs/base/ranges.h"
#include "fs/base/result.h"
#include "fs/pmem/bad_ranges.h"

namespace mirdax {

// What it takes to make a store durable (libpmem2's store granularity).
enum class Granularity : uint8_t {
  kByte,       // eADR: caches are in the persistence domain; a fence orders
  kCacheLine,  // clwb, then a fence
  kPage,       // page cache: msync of the pages
};
std::string_view GranularityName(Granularity granularity) noexcept;  // "byte", "cache-line", "page"

// Model: a store is *in flight* from Write/Stream/Store64 until a Drain() that follows its Flush()
// (Stream() needs no Flush). A power cut keeps any subset of what is in flight, in units of 8
// aligned bytes; what was drained stays.
//
// Units:   offsets and lengths in bytes from the start of the pool.
// Errors:  Drain() can fail, with kIo: what it covered is not durable, is still owed, and the next
//          Drain() tries it again. Bytes that the medium refuses read as zeros and take no store;
//          that fails nothing by itself: CheckGood() says it. Out-of-range offsets are the
//          programmer's error (aborts).
// Threads: stores and flushes by any thread, to disjoint ranges; Drain() covers what its own thread
//          has flushed or streamed (it may cover more).
class Region {
 public:
  virtual ~Region() = default;

  // The whole pool, readable. Only transports may let a peer's bytes arrive here directly; such
  // bytes are in flight until flushed and drained, like a Write().
  virtual std::span<std::byte> memory() noexcept = 0;
  virtual Granularity granularity() const noexcept = 0;
  // What the medium has refused so far.
  virtual const BadRanges& bad() const noexcept = 0;

  // Copies into the pool with ordinary stores (small, soon read again: metadata).
  virtual void Write(uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Copies into the pool with non-temporal stores where that pays (file data, journal records).
  virtual void Stream(uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Fills with zeros, non-temporal like Stream().
  virtual void StreamZeros(uint64_t offset, uint64_t length) = 0;
  // One aligned 8-byte store: never torn.
  virtual void Store64(uint64_t offset, uint64_t value) = 0;

  // Starts making [offset, offset + length) durable.
  virtual void Flush(uint64_t offset, uint64_t length) = 0;
  // Returns when everything this thread flushed or streamed before is durable.
  virtual Status Drain() = 0;

  // Also kIo when the medium did not take it.
  Status Persist(uint64_t offset, uint64_t length) {
    Flush(offset, length);
    MIRDAX_TRY(Drain());
    return CheckGood(offset, length);
  }

  // kIo when the medium has refused one of these bytes: what was read there is not what was stored,
  // and what was stored there is lost.
  Status CheckGood(uint64_t offset, uint64_t length) const {
    if (!bad().Overlaps(offset, length)) [[likely]]
      return {};
    return Fail(ErrorCode::kIo, "the medium refuses {} (asked for {} bytes at {})",
                DescribeBad(offset, length), length, offset);
  }

  uint64_t size() noexcept { return memory().size(); }

  // Read access, checked.
  const std::byte* At(uint64_t offset, uint64_t length) {
    const std::span<std::byte> all = memory();
    MIRDAX_CHECK(offset <= all.size() && length <= all.size() - offset);
    return all.data() + offset;
  }
  template <typename T>
  const T& As(uint64_t offset) {
    return *reinterpret_cast<const T*>(At(offset, sizeof(T)));
  }

 private:
  // "4096 bytes at 81920": the first bad range that holds one of these bytes.
  std::string DescribeBad(uint64_t offset, uint64_t length) const;
};

}  // namespace mirdax
