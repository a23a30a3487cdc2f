// SPDX-License-Identifier: BSD-2-Clause
// Memory set aside, so that what has begun can be finished.
#pragma once

#include <cstddef>

#include "fs/base/result.h"

namespace mirdax {

// An operation that has changed something cannot stop half way for want of memory. So it opens the
// reserve before its first change. While it is open, an allocation of this thread that finds no
// memory gets some that the thread had set aside; with the reserve closed it throws std::bad_alloc,
// as ever. So a call fails at its beginning, with nothing changed, or it has what it needs.
//
// What was taken is set aside again by the next Open() or Replenish(), which fails while there is
// no memory: longer operations replenish between their steps.
//
// Units:   the reserve holds kBytes, in pieces; an operation's step needs a few hundred KiB at most
//          (the credits of its transaction say how many blocks it may copy).
// Errors:  kNoMemory: not enough could be set aside.
// Threads: each has a reserve of its own. It is kept until the thread ends, since filling it costs
//          more than keeping it. Opened once or many times, one inside the other.
class MemoryReserve {
 public:
  static constexpr size_t kPieceBytes = size_t{32} * 1024;
  static constexpr size_t kPieces = 16;
  static constexpr size_t kBytes = kPieces * kPieceBytes;

  // From now on std::new_handler is the reserve's. Idempotent.
  static void Install() noexcept;

  static Result<MemoryReserve> Open();
  static Status Replenish();

  MemoryReserve(MemoryReserve&& other) noexcept : open_(other.open_) { other.open_ = false; }
  MemoryReserve& operator=(MemoryReserve&&) = delete;
  ~MemoryReserve();

 private:
  MemoryReserve() = default;

  bool open_ = true;
};

}  // namespace mirdax
