// SPDX-License-Identifier: BSD-2-Clause
// Checks a whole pool: every structure of docs/FORMAT.md, and that they agree with each other.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "fs/base/result.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"
#include "tools/fsck/finding.h"

namespace mirdax::fsck {

struct CheckOptions {
  // Called when a phase begins, and now and then within it (0..100). May be empty.
  std::function<void(std::string_view phase, unsigned percent)> progress;
  bool paths = true;  // find the path of every inode that a finding names
};

struct FsckReport {
  Findings findings;
  // What was checked.
  Superblock superblock{};
  PrivateBlock private_block{};
  Lsn commit = 0;
  uint64_t records_replayed = 0;
  uint64_t inodes_in_use = 0;
  uint64_t inode_count = 0;
  uint64_t directories = 0;
  uint64_t orphans = 0;
  uint64_t blocks_in_use = 0;
  uint64_t data_blocks = 0;
  bool contents_checked = false;  // false: blank or being filled, or too damaged to go on

  bool clean() const noexcept { return findings.errors() == 0; }
};

// Runs every phase. The journal is replayed into `region` first, as a mount would, so `region` is a
// private view (PoolAccess::kSnapshot) or an image that may change; where tail == commit nothing is
// stored.
//
// Every byte is taken as hostile (R9): no loop without a bound, no read outside the pool, and
// memory is bounded by one bit a block and 16 bytes an inode in use.
//
// Errors:  kCorrupt when this is no mirdax pool at all; kIncompatible (a newer format); kIo. All
//          else that is wrong is a finding.
// Threads: one. Nobody else may change `region` meanwhile.
Result<FsckReport> CheckPool(Region& region, const CheckOptions& options = {});

}  // namespace mirdax::fsck
