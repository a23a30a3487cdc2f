// SPDX-License-Identifier: BSD-2-Clause
// The operators new and delete of the crash tests' programs: as the standard library's, but memory
// can run out (faults.h). When it has run out for good, what the product gives back can be had
// again: that is how a heap that is full behaves.
#include <malloc.h>
#include <cstddef>

#include <cstdlib>
#include <new>

#include "tests/crash/faults.h"

namespace {

using mirdax::crash::Faults;

void* TryAllocate(std::size_t size, std::size_t alignment) noexcept {
  if (size == 0) size = 1;
  Faults* const faults = Faults::current();
  const bool was_out = faults != nullptr && faults->out_of_memory();
  const bool strikes = faults != nullptr && faults->Strikes(Faults::memory_kind());
  if (strikes && !was_out) return nullptr;
  void* const memory =
      alignment <= alignof(std::max_align_t)
          ? std::malloc(size)
          : std::aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
  if (memory == nullptr || !was_out) return memory;
  const std::size_t usable = malloc_usable_size(memory);
  if (usable <= faults->memory_left) {
    faults->memory_left -= usable;
    return memory;
  }
  std::free(memory);
  return nullptr;
}

void* Allocate(std::size_t size, std::size_t alignment) {
  for (;;) {
    if (void* const memory = TryAllocate(size, alignment)) return memory;
    // What this thread has set aside is the primary's (memory_reserve.h), which runs in it, too.
    if (Faults::in_mirror()) throw std::bad_alloc();
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void* AllocateOrNull(std::size_t size, std::size_t alignment) noexcept {
  try {
    return Allocate(size, alignment);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void Release(void* memory) noexcept {
  Faults* const faults = Faults::current();
  if (memory != nullptr && faults != nullptr && faults->out_of_memory())
    faults->memory_left += malloc_usable_size(memory);
  std::free(memory);
}

constexpr std::size_t kPlain = alignof(std::max_align_t);
constexpr std::size_t Of(std::align_val_t alignment) { return static_cast<std::size_t>(alignment); }

}  // namespace

void* operator new(std::size_t size) { return Allocate(size, kPlain); }
void* operator new[](std::size_t size) { return Allocate(size, kPlain); }
void* operator new(std::size_t size, std::align_val_t a) { return Allocate(size, Of(a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return Allocate(size, Of(a)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return AllocateOrNull(size, kPlain);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return AllocateOrNull(size, kPlain);
}
void* operator new(std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return AllocateOrNull(size, Of(a));
}
void* operator new[](std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return AllocateOrNull(size, Of(a));
}
void operator delete(void* memory) noexcept { Release(memory); }
void operator delete[](void* memory) noexcept { Release(memory); }
void operator delete(void* memory, std::size_t) noexcept { Release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { Release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { Release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { Release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { Release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { Release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { Release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { Release(memory); }
