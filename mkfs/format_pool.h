// SPDX-License-Identifier: BSD-2-Clause
// mkfs.mirdax without its command line: finds or makes the file, refuses what must not be lost, and
// formats.
#pragma once

#include <optional>
#include <string>

#include "fs/pmem/region.h"
#include "mkfs/format_region.h"

namespace mirdax {

struct FormatPoolOptions {
  FormatOptions format;          // pool_size and zero are set by FormatPool()
  std::optional<uint64_t> size;  // bytes; creates or grows a file. Absent: the size found
  bool force = false;            // destroy what is recognised
  bool dry_run = false;          // check and plan, change nothing
};

struct FormatPoolReport {
  FormatReport format;  // UUIDs are nil after a dry run
  bool created = false;
  Granularity granularity = Granularity::kPage;  // kPage after a dry run on a file to be created
  // Bytes that the filesystem below lacks to hold the pool when it is full; 0 when it has them.
  uint64_t shortfall = 0;
};

// Errors: kBusy (mounted: by whom), kExists (holds something: what), kInvalid (sizes, labels, kinds
//         of file), kNotFound, kAccess, kNoSpace, kIo. Each message begins with the path and says
//         what to do. A file that was created is removed again on failure.
Result<FormatPoolReport> FormatPool(const std::string& path, const FormatPoolOptions& options,
                                    Random& random, Clock& clock);

}  // namespace mirdax
