// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/pmem2_map.h"

#include <sys/stat.h>

#include <cerrno>

namespace mirdax {
namespace {

struct SourceDelete {
  void operator()(pmem2_source* source) const noexcept { pmem2_source_delete(&source); }
};
using Source = std::unique_ptr<pmem2_source, SourceDelete>;
struct ConfigDelete {
  void operator()(pmem2_config* config) const noexcept { pmem2_config_delete(&config); }
};
using Config = std::unique_ptr<pmem2_config, ConfigDelete>;

// libpmem2 returns -errno, or a code of its own below that; its message is per thread.
tl::unexpected<Error> Pmem2Failed(int result, const std::string& path, std::string_view what) {
  const ErrorCode code =
      -result > 0 && -result < 4096 ? FromErrno(-result, {}).code : ErrorCode::kInvalid;
  const std::string_view message = pmem2_errormsg();
  return Fail(code, "{}: libpmem2 cannot {}: {}", path, what,
              message.empty() ? fmt::format("error {}", result) : message);
}

Result<Source> OpenSource(int fd, const std::string& path) {
  pmem2_source* source = nullptr;
  if (const int result = pmem2_source_from_fd(&source, fd); result != 0)
    return Pmem2Failed(result, path, "use it");
  return Source(source);
}

}  // namespace

Result<uint64_t> SizeWithPmem2(int fd, const std::string& path) {
  MIRDAX_ASSIGN(const Source source, OpenSource(fd, path));
  size_t size = 0;
  if (const int result = pmem2_source_size(source.get(), &size); result != 0)
    return Pmem2Failed(result, path, "find its size");
  return size;
}

Result<Pmem2Map> MapWithPmem2(int fd, uint64_t size, bool writable, const std::string& path) {
  MIRDAX_ASSIGN(const Source source, OpenSource(fd, path));
  pmem2_config* raw_config = nullptr;
  if (const int result = pmem2_config_new(&raw_config); result != 0)
    return Pmem2Failed(result, path, "make a configuration");
  const Config config(raw_config);

  struct stat info = {};
  if (fstat(fd, &info) != 0) return Fail(FromErrno(errno, path));
  int result = pmem2_config_set_required_store_granularity(config.get(), PMEM2_GRANULARITY_PAGE);
  if (result == 0)
    result = pmem2_config_set_protection(config.get(),
                                         PMEM2_PROT_READ | (writable ? PMEM2_PROT_WRITE : 0));
  // A devdax device is mapped whole: its alignment may be larger than a page.
  if (result == 0 && S_ISREG(info.st_mode)) result = pmem2_config_set_length(config.get(), size);
  pmem2_map* map = nullptr;
  if (result == 0) result = pmem2_map_new(&map, config.get(), source.get());
  if (result != 0) return Pmem2Failed(result, path, "map it");
  return Pmem2Map(map);
}

Granularity GranularityOf(const Pmem2Map& map) noexcept {
  switch (pmem2_map_get_store_granularity(map.get())) {
    case PMEM2_GRANULARITY_BYTE:
      return Granularity::kByte;
    case PMEM2_GRANULARITY_CACHE_LINE:
      return Granularity::kCacheLine;
    case PMEM2_GRANULARITY_PAGE:
      break;
  }
  return Granularity::kPage;
}

std::span<std::byte> BytesOf(const Pmem2Map& map) noexcept {
  return {static_cast<std::byte*>(pmem2_map_get_address(map.get())), pmem2_map_get_size(map.get())};
}

}  // namespace mirdax
