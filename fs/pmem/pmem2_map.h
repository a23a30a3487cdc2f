// SPDX-License-Identifier: BSD-2-Clause
// A shared, writable mapping made by libpmem2, which knows every kind of PM.
#pragma once

#include <libpmem2.h>

#include <memory>
#include <span>
#include <string>

#include "fs/base/result.h"
#include "fs/pmem/region.h"

namespace mirdax {

struct Pmem2MapDelete {
  void operator()(pmem2_map* map) const noexcept { pmem2_map_delete(&map); }
};
using Pmem2Map = std::unique_ptr<pmem2_map, Pmem2MapDelete>;

// Maps the first `size` bytes of a file, or all of a devdax device.
Result<Pmem2Map> MapWithPmem2(int fd, uint64_t size, bool writable, const std::string& path);
// Bytes of the file or devdax device. kInvalid for what can hold no pool.
Result<uint64_t> SizeWithPmem2(int fd, const std::string& path);

Granularity GranularityOf(const Pmem2Map& map) noexcept;
std::span<std::byte> BytesOf(const Pmem2Map& map) noexcept;

}  // namespace mirdax
