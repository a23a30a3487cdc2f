// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

namespace mirdax {
namespace {
constexpr int kReadWrite = PROT_READ | PROT_WRITE;
}

Result<Mapping> Mapping::Map(int fd, uint64_t size, int protection, int flags,
                             const std::string& what) {
  // NORESERVE: a private view of a pool larger than memory is fine; few of its pages are written.
  void* address = mmap(nullptr, size, protection, flags | MAP_NORESERVE, fd, 0);
  if (address == MAP_FAILED)
    return Fail(FromErrno(errno, fmt::format("{}: mapping {} bytes", what, size)));
  return Mapping({static_cast<std::byte*>(address), size});
}

Result<Mapping> Mapping::Anonymous(uint64_t size) {
  return Map(-1, size, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, "memory");
}

Result<Mapping> Mapping::Shared(int fd, uint64_t size, const std::string& path) {
  return Map(fd, size, kReadWrite, MAP_SHARED, path);
}

Result<Mapping> Mapping::ReadOnly(int fd, uint64_t size, const std::string& path) {
  return Map(fd, size, PROT_READ, MAP_SHARED, path);
}

Result<Mapping> Mapping::Private(int fd, uint64_t size, const std::string& path) {
  return Map(fd, size, kReadWrite, MAP_PRIVATE, path);
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping::~Mapping() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

}  // namespace mirdax
