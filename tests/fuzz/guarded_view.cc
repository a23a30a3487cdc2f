// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/guarded_view.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fs/base/check.h"

namespace mirdax::fuzz {
namespace {

constexpr uint64_t kGuard = uint64_t{256} << 20;  // bytes on each side

std::span<std::byte> MapGuarded(const BaseImage& base) {
  void* all = mmap(nullptr, base.size() + 2 * kGuard, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  MIRDAX_CHECK(all != MAP_FAILED);
  std::byte* inside = static_cast<std::byte*>(all) + kGuard;
  MIRDAX_CHECK(mmap(inside, base.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, base.fd(),
                    0) == inside);
  return {inside, base.size()};
}

}  // namespace

BaseImage::BaseImage(std::span<const std::byte> bytes)
    : fd_(memfd_create("mirdax-fuzz", MFD_CLOEXEC)), size_(bytes.size()) {
  MIRDAX_CHECK(fd_ >= 0 && ftruncate(fd_, static_cast<off_t>(size_)) == 0);
  while (!bytes.empty()) {
    const ssize_t count = write(fd_, bytes.data(), bytes.size());
    MIRDAX_CHECK(count > 0);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

BaseImage::~BaseImage() { close(fd_); }

GuardedView::GuardedView(const BaseImage& base)
    : MappedRegion(MapGuarded(base), Granularity::kCacheLine) {}

GuardedView::~GuardedView() { munmap(memory().data() - kGuard, memory().size() + 2 * kGuard); }

void GuardedView::Write(uint64_t offset, std::span<const std::byte> bytes) {
  stores_.push_back({offset, bytes.size()});
  Copy(offset, bytes);
}

void GuardedView::Stream(uint64_t offset, std::span<const std::byte> bytes) {
  Write(offset, bytes);
}

void GuardedView::StreamZeros(uint64_t offset, uint64_t length) {
  stores_.push_back({offset, length});
  Zero(offset, length);
}

void GuardedView::Store64(uint64_t offset, uint64_t value) {
  stores_.push_back({offset, sizeof(value)});
  CopyWord(offset, value);
}

}  // namespace mirdax::fuzz
