// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/memory_reserve.h"

#include <array>
#include <new>
#include <utility>

#include "fs/base/mutant.h"

namespace mirdax {
namespace {

class Pieces {
 public:
  Pieces() = default;
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;
  ~Pieces() {
    while (Release()) {
    }
  }

  bool Fill() noexcept {
    // Not from the reserve itself.
    const unsigned opened = std::exchange(opened_, 0);
    while (held_ < pieces_.size()) {
      void* const piece = ::operator new(MemoryReserve::kPieceBytes, std::nothrow);
      if (piece == nullptr) break;
      pieces_[held_++] = piece;
    }
    opened_ = opened;
    return held_ == pieces_.size();
  }
  // Gives a piece back to the heap, where the allocation that failed finds it.
  bool Release() noexcept {
    if (held_ == 0) return false;
    ::operator delete(pieces_[--held_]);
    return true;
  }

  void Enter() noexcept { ++opened_; }
  void Leave() noexcept { --opened_; }
  bool open() const noexcept { return opened_ != 0; }

 private:
  std::array<void*, MemoryReserve::kPieces> pieces_{};
  size_t held_ = 0;
  unsigned opened_ = 0;
};

thread_local Pieces pieces;

// The standard's way to find memory when there is none: allocation is tried again when it returns.
void FindMemory() {
  if (!pieces.open() || !pieces.Release()) throw std::bad_alloc();
}

}  // namespace

void MemoryReserve::Install() noexcept { std::set_new_handler(FindMemory); }

Status MemoryReserve::Replenish() {
  if (Mutated(Mutant::kNoMemorySetAside)) return {};
  if (pieces.Fill()) return {};
  return Fail(ErrorCode::kNoMemory);
}

Result<MemoryReserve> MemoryReserve::Open() {
  MIRDAX_TRY(Replenish());
  if (!Mutated(Mutant::kNoMemorySetAside)) pieces.Enter();
  return MemoryReserve();
}

MemoryReserve::~MemoryReserve() {
  if (open_ && !Mutated(Mutant::kNoMemorySetAside)) pieces.Leave();
}

}  // namespace mirdax
