// SPDX-License-Identifier: BSD-2-Clause
// Opens a pool: finds out what it is, locks it, maps it, and reads its superblock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "fs/base/result.h"
#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "fs/pmem/region.h"

namespace mirdax {

enum class PmMode : uint8_t {
  kDirect,      // libpmem2
  kShadow,      // test mode: SIGKILL is a power cut that loses everything in flight
  kShadowHalf,  // test mode: ... that loses a seeded random half of it
};
// "direct", "shadow", "shadow-half": the value of -o pm= and --pm.
Result<PmMode> ParsePmMode(std::string_view text);

enum class PoolAccess : uint8_t {
  kExclusive,  // read-write, exclusive lock for the life of the object
  kShared,     // read-only, shared lock: refuses while a daemon has the pool
  kSnapshot,   // a private copy-on-write view, shared lock: stores never reach the pool (fsck, ro)
};

struct PoolOptions {
  PoolAccess access = PoolAccess::kExclusive;
  PmMode pm = PmMode::kDirect;
  uint64_t pm_seed = 1;  // kShadowHalf
};

// Errors: kBusy (locked: who), kNotFound, kAccess, kIncompatible (version, feature bits: which),
//         kCorrupt (not a mirdax pool, checksums, shorter than the superblock says: what, where),
//         kIo (the medium refuses a superblock).
//         Each message names the path and says what to do.
// Threads: Open() by one; the object is immutable afterwards, region() as Region says.
class Pool {
 public:
  // Opens a formatted pool.
  static Result<std::unique_ptr<Pool>> Open(const std::string& path, const PoolOptions& options);
  // Opens whatever lies at `path`, for mkfs: no superblock is read (superblock() is all zero).
  static Result<std::unique_ptr<Pool>> OpenRaw(const std::string& path, const PoolOptions& options);

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  virtual ~Pool() = default;

  virtual Region& region() noexcept = 0;
  virtual const Superblock& superblock() const noexcept = 0;
  virtual const Geometry& geometry() const noexcept = 0;  // empty on a blank mirror
  virtual const std::string& path() const noexcept = 0;
  // True on a mirror that has never been filled (kIncompatBlank).
  bool blank() const noexcept { return (superblock().incompat & kIncompatBlank) != 0; }

  // Writes the other superblock of the pair, with sequence + 1 and checksum, durably; then
  // superblock() and geometry() are the new ones. (Filling a blank mirror; labels.)
  virtual Status StoreSuperblock(Superblock next) = 0;

 protected:
  Pool() = default;
};

}  // namespace mirdax
