// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/bad_ranges.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mirdax {
namespace {

constexpr uintptr_t kPageSize = 4096;
// What a devdax device may be mapped in: less than that of it cannot be replaced.
constexpr uintptr_t kLargerUnits[] = {uintptr_t{2} << 20, uintptr_t{1} << 30};

constinit thread_local unsigned file_data_depth = 0;

struct sigaction previous_action {};
std::atomic<bool> installed{false};

}  // namespace

constinit BadRanges::SharedList BadRanges::lists[kLists] = {};
constinit BadRanges::SharedList BadRanges::nothing = {};

void BadRanges::SharedList::Add(uint64_t offset, uint64_t length, bool in_metadata) noexcept {
  // Pages that are met one after another are one range.
  const auto extend = [&](Entry& last) {
    uint64_t before = last.length.load();
    return before != 0 && last.offset.load() + before == offset &&
           last.metadata.load() == in_metadata &&
           last.length.compare_exchange_strong(before, before + length);
  };
  const uint64_t known = claimed.load();
  bool listed = known != 0 && known <= kMost && extend(entries[known - 1]);
  if (!listed) {
    const uint64_t at = claimed.fetch_add(1);
    listed = at < kMost;
    if (listed) {
      entries[at].offset.store(offset);
      entries[at].metadata.store(in_metadata);
      entries[at].length.store(length);
    }
  }
  if (in_metadata || !listed) metadata.fetch_add(1);
  count.fetch_add(1);
}

bool BadRanges::SharedList::Holds(uint64_t offset, uint64_t length) const noexcept {
  const uint64_t known = std::min<uint64_t>(claimed.load(), kMost);
  for (uint64_t i = 0; i < known; ++i) {
    const uint64_t begin = entries[i].offset.load();
    const uint64_t end = begin + entries[i].length.load();
    if (offset >= begin && offset + length <= end) return true;
  }
  return false;
}

bool BadRanges::SharedList::Overlaps(uint64_t offset, uint64_t length) const noexcept {
  const uint64_t known = claimed.load();
  if (known > kMost) return true;
  for (uint64_t i = 0; i < known; ++i) {
    const uint64_t bad_length = entries[i].length.load();
    const uint64_t begin = entries[i].offset.load();
    if (bad_length != 0 && offset < begin + bad_length && begin < offset + length) return true;
  }
  return false;
}

// Async-signal-safe: the bare system call (not the library's, which a sanitizer makes more of: to
// it the change is a store), and nothing here takes a lock.
bool BadRanges::Replace(SharedList& list, const Window& window, uintptr_t address,
                        uintptr_t unit) noexcept {
  const uintptr_t begin = address & ~(unit - 1);
  if (begin < window.begin.load() || unit > window.end.load() - begin) return false;
  const uint64_t offset = begin - window.begin.load();
  // First: whoever reads zeros must find it there.
  if (!list.Holds(offset, unit)) list.Add(offset, unit, file_data_depth == 0 || unit > kPageSize);
  const int64_t mapped =
      syscall(SYS_mmap, begin, unit, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, off_t{0});
  return static_cast<uintptr_t>(mapped) == begin;
}

void BadRanges::OnBusError(int signal_number, void* raw_info) noexcept {
  const int saved_errno = errno;
  const auto& info = *static_cast<const siginfo_t*>(raw_info);
  // A notice of what nobody has touched yet: when somebody does, there is another.
  if (info.si_code == BUS_MCEERR_AO) return;
  const auto address = reinterpret_cast<uintptr_t>(info.si_addr);
  uintptr_t unit = kPageSize;
  if (info.si_code == BUS_MCEERR_AR && info.si_addr_lsb > 12 && info.si_addr_lsb < 48)
    unit = uintptr_t{1} << static_cast<unsigned>(info.si_addr_lsb);
  bool replaced = false;
  for (SharedList& list : lists) {
    if (replaced || info.si_code <= 0) break;
    for (const Window& window : list.windows) {
      if (address < window.begin.load() || address >= window.end.load()) continue;
      replaced = Replace(list, window, address, unit);
      for (const uintptr_t larger : kLargerUnits)
        if (!replaced && larger > unit) replaced = Replace(list, window, address, larger);
      break;
    }
  }
  if (!replaced) {
    sigaction(signal_number, &previous_action, nullptr);
    if (info.si_code <= 0) raise(signal_number);  // sent by somebody; an access is repeated anyway
  }
  errno = saved_errno;
}

void BadRanges::InstallHandler() noexcept {
  if (installed.exchange(true)) return;
  struct sigaction action {};
  action.sa_sigaction = [](int signal_number, siginfo_t* info, void*) {
    OnBusError(signal_number, info);
  };
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous_action);
}

BadRanges::BadRanges(std::span<std::byte> memory) noexcept : list_(&nothing) {
  for (SharedList& list : lists) {
    if (list.taken.load(std::memory_order_relaxed) || list.taken.exchange(true)) continue;
    list_ = &list;
    ForgetAll();
    Watch(0, memory);
    return;
  }
}

BadRanges::~BadRanges() {
  if (list_ == &nothing) return;
  for (Window& window : list_->windows) window.end.store(0);
  list_->taken.store(false);
}

void BadRanges::AlsoWatch(std::span<std::byte> memory) noexcept {
  if (list_ != &nothing) Watch(1, memory);
}

void BadRanges::Watch(size_t window, std::span<std::byte> memory) noexcept {
  const auto begin = reinterpret_cast<uintptr_t>(memory.data());
  list_->windows[window].begin.store(begin);
  list_->windows[window].end.store(begin + memory.size());
}

void BadRanges::Add(const BadRange& found) noexcept {
  if (list_ != &nothing) list_->Add(found.range.offset, found.range.length, found.metadata);
}

void BadRanges::ForgetAll() noexcept {
  if (list_ == &nothing) return;
  list_->count.store(0);
  list_->metadata.store(0);
  for (Entry& entry : list_->entries) {
    if (entry.length.load(std::memory_order_relaxed) == 0) break;
    entry.length.store(0);
  }
  list_->claimed.store(0);
}

bool BadRanges::Search(uint64_t offset, uint64_t length) const noexcept {
  return length != 0 && list_->Overlaps(offset, length);
}

std::vector<BadRange> BadRanges::List() const {
  std::vector<BadRange> found;
  const uint64_t known = std::min<uint64_t>(list_->claimed.load(), kMost);
  for (uint64_t i = 0; i < known; ++i) {
    const Entry& entry = list_->entries[i];
    if (const uint64_t length = entry.length.load(); length != 0)
      found.push_back({{entry.offset.load(), length}, entry.metadata.load()});
  }
  return found;
}

Error DescribeLoss(const BadRanges& bad) {
  for (const BadRange& found : bad.List()) {
    if (!found.metadata) continue;
    return {ErrorCode::kIo, fmt::format("the medium refuses {} bytes at {} of the pool, which may "
                                        "be metadata",
                                        found.range.length, found.range.offset)};
  }
  return {ErrorCode::kIo, "the medium refuses more ranges of the pool than can be listed"};
}

// The handler looks at it in the middle of what lies between.
FileDataAccess::FileDataAccess() noexcept {
  ++file_data_depth;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}
FileDataAccess::~FileDataAccess() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  --file_data_depth;
}

void FindBad(std::span<const std::byte> bytes) noexcept {
  const FileDataAccess access;
  constexpr size_t kLine = 64;
  if (bytes.empty()) return;
  const auto load = [](const std::byte& byte) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&byte));
  };
  for (size_t at = 0; at < bytes.size(); at += kLine) load(bytes[at]);
  load(bytes.back());
}

}  // namespace mirdax
