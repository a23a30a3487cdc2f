// SPDX-License-Identifier: BSD-2-Clause
// The engine's part in miniature: data, one record, commit word.
#pragma once

#include "fs/core/journal_writer.h"
#include "fs/core/replication_sink.h"
#include "fs/format/layout.h"
#include "fs/pmem/pool.h"

namespace mirdax::test {

// Threads: one at a time.
class HandCommit {
 public:
  // Stores `fill` in `data_bytes` from block `index` of the data area on, and commits a record that
  // patches the first line of the block behind them. Returns what Wait() said.
  Status Commit(Pool& pool, EpochId epoch, ReplicationSink& sink, uint64_t index, std::byte fill,
                uint64_t data_bytes);

 private:
  RecordBuilder record_;
  uint64_t transaction_ = 0;
};

}  // namespace mirdax::test
