// SPDX-License-Identifier: BSD-2-Clause
// Bytes of a mapped pool that the medium refuses to give (poison, a file cut short), as they are
// met.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fs/base/error.h"
#include "fs/base/ranges.h"

namespace mirdax {

struct BadRange {
  PoolRange range;
  bool metadata = false;  // met by a load or store that was not of file data alone
};

// An access to bytes that the medium refuses raises SIGBUS. The handler notes where, puts a private
// page of zeros there, and lets the access go on: so a daemon outlives it, whatever it was doing.
// From then on these bytes read as zeros, and what is stored to them is lost; who used them has to
// ask afterwards, and must not believe, acknowledge or pass on any of it:
//
//  - metadata: an engine that finds in_metadata() grown during a call fails the call and stops;
//  - file data (what is done under a FileDataAccess): whoever touches it asks Overlaps().
//
// The list of one mapping. It is what a repair from another copy would start from.
//
// Invariant: a range is in the list before zeros can be read there (for a thread that saw zeros and
// then asks).
//
// Units:   bytes from the start of the pool. A page at least; where the kernel maps larger units
//          (devdax), one of those, and it counts as metadata: nobody knows who is reading in it.
// Errors:  none. With more than kMost ranges everything counts as bad.
// Threads: every method by any, also by the handler meanwhile; but for the constructor, the
//          destructor, AlsoWatch() and ForgetAll(). Locks: none.
class BadRanges {
 public:
  static constexpr size_t kMost = 256;

  // Installs the SIGBUS handler. Accesses outside of what is watched go to whoever handled SIGBUS
  // before: by default they end the process. Idempotent.
  static void InstallHandler() noexcept;

  // Watches `memory`, which holds the pool. (Not where hundreds of others are watched already.)
  explicit BadRanges(std::span<std::byte> memory) noexcept;
  ~BadRanges();
  BadRanges(const BadRanges&) = delete;
  BadRanges& operator=(const BadRanges&) = delete;

  // A second mapping of the same bytes.
  void AlsoWatch(std::span<std::byte> memory) noexcept;
  // What was found by way of another mapping.
  void Add(const BadRange& found) noexcept;
  // The pages were replaced by good ones.
  void ForgetAll() noexcept;

  // How often some were met. Ordered after every access that the thread has made.
  uint64_t count() const noexcept { return Ordered(list_->count); }
  uint64_t in_metadata() const noexcept { return Ordered(list_->metadata); }
  bool any() const noexcept { return count() != 0; }
  // Whether one of these bytes is bad.
  bool Overlaps(uint64_t offset, uint64_t length) const noexcept {
    return any() && Search(offset, length);
  }
  std::vector<BadRange> List() const;

 private:
  struct Entry {
    std::atomic<uint64_t> offset;
    std::atomic<uint64_t> length;  // written last; 0: not yet
    std::atomic<bool> metadata;
  };
  struct Window {
    std::atomic<uintptr_t> begin;
    std::atomic<uintptr_t> end;  // written last when it begins, first when it ends
  };
  // In static memory, so that the handler never looks at what is gone.
  struct SharedList {
    std::atomic<bool> taken;
    std::atomic<uint64_t> count;
    std::atomic<uint64_t> metadata;
    std::atomic<uint64_t> claimed;  // entries; may exceed kMost
    Window windows[2];
    Entry entries[kMost];

    void Add(uint64_t offset, uint64_t length, bool in_metadata) noexcept;
    bool Holds(uint64_t offset, uint64_t length) const noexcept;
    bool Overlaps(uint64_t offset, uint64_t length) const noexcept;
  };
  static constexpr size_t kLists = 512;
  static SharedList lists[kLists];
  static SharedList nothing;

  static uint64_t Ordered(const std::atomic<uint64_t>& value) noexcept {
#if defined(__SANITIZE_THREAD__)  // which knows no fences, and needs none to keep order
    std::atomic_signal_fence(std::memory_order_acquire);
#else
    std::atomic_thread_fence(std::memory_order_acquire);
#endif
    return value.load(std::memory_order_relaxed);
  }
  static void OnBusError(int signal_number, void* info) noexcept;
  static bool Replace(SharedList& list, const Window& window, uintptr_t address,
                      uintptr_t unit) noexcept;
  bool Search(uint64_t offset, uint64_t length) const noexcept;
  void Watch(size_t window, std::span<std::byte> memory) noexcept;

  SharedList* list_;
};

// kIo, with the first loss of what may be metadata. REQUIRES: in_metadata() is not 0.
Error DescribeLoss(const BadRanges& bad);

// While one lives, what its thread touches in a pool is bytes of files, and nothing else: to find
// them refused does not stop the filesystem. May be nested.
class FileDataAccess {
 public:
  FileDataAccess() noexcept;
  ~FileDataAccess();
  FileDataAccess(const FileDataAccess&) = delete;
  FileDataAccess& operator=(const FileDataAccess&) = delete;
};

// Loads something of each line of `bytes`, as file data: what is refused is known then. (For the
// kernel does not say what it found refused.)
void FindBad(std::span<const std::byte> bytes) noexcept;

}  // namespace mirdax
