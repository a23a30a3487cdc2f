// SPDX-License-Identifier: BSD-2-Clause
// A test mode for real daemons: SIGKILL becomes a power cut.
#pragma once

#include <optional>
#include <random>

#include "fs/base/mutex.h"
#include "fs/pmem/mapped_region.h"
#include "fs/pmem/mapping.h"
#include "fs/pmem/owed_ranges.h"

namespace mirdax {

// memory() is a copy-on-write view of the pool. Only Drain() copies what was flushed or streamed,
// line by line, to a second, shared mapping of the file, whose pages outlive a killed process.
// What a daemon stored without flushing and draining is lost with it, as on a power cut.
//
// With a seed ("half") each line that is stored or flushed may reach the pool at once, whole or in
// part, so that a kill finds a random part of what was in flight there.
//
// Costs:   memory for every page written. Not durable against a cut of the machine's own power
//          beyond what the file's pages are.
// Threads: as Region says. Locks: its own, leaves.
class ShadowRegion final : public MappedRegion {
 public:
  ShadowRegion(Mapping view, Mapping pool, Granularity granularity,
               std::optional<uint64_t> half_seed);

  void Write(uint64_t offset, std::span<const std::byte> bytes) override;
  void Stream(uint64_t offset, std::span<const std::byte> bytes) override;
  void StreamZeros(uint64_t offset, uint64_t length) override;
  void Store64(uint64_t offset, uint64_t value) override;
  void Flush(uint64_t offset, uint64_t length) override;
  Status Drain() override;

 private:
  // Copies the words of the line at `offset` whose bits are set in `words` to the pool.
  void CopyLine(uint64_t offset, unsigned words) const;
  void MaybeLeak(uint64_t offset, uint64_t length) MIRDAX_EXCLUDES(mutex_);

  const Mapping view_;
  const Mapping pool_;
  const bool half_;
  OwedRanges owed_;
  Mutex mutex_;
  std::minstd_rand coin_ MIRDAX_GUARDED_BY(mutex_);
};

}  // namespace mirdax
