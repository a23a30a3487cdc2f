// SPDX-License-Identifier: BSD-2-Clause
// Copies of a set in memory, and a primary that commits by hand: what the replicator's tests share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fs/pmem/private_store.h"
#include "fs/pmem/recorder_region.h"
#include "replicator/mirror_copy.h"
#include "replicator/primary_replication.h"
#include "replicator/sim/sim_network.h"
#include "tests/support/hand_commit.h"
#include "tests/support/memory_pool.h"

namespace mirdax::test {

inline constexpr uint64_t kTestPoolSize = uint64_t{16} << 20;

// A pool on a RecorderRegion with its private block. `mirror`: blank.
struct TestCopy {
  TestCopy(bool mirror, uint64_t seed, uint64_t size = kTestPoolSize);
  std::unique_ptr<MemoryPool> pool;
  std::unique_ptr<PrivateStore> store;

  RecorderRegion& region() { return static_cast<RecorderRegion&>(pool->region()); }
  const Geometry& geometry() { return pool->geometry(); }
  Lsn commit() { return region().As<CommitLine>(kCommitLineOffset).commit; }
  // What is at `offset` after a power cut that loses everything in flight.
  std::vector<std::byte> Durable(uint64_t offset, uint64_t length);
};

// A primary's copy, and commits by hand.
class TestPrimary {
 public:
  explicit TestPrimary(uint64_t seed = 1) : copy(false, seed) {}

  // As HandCommit.
  Status Commit(ReplicationSink& sink, uint64_t index, std::byte fill,
                uint64_t data_bytes = kBlockSize);
  // As a clean unmount leaves it.
  void UnmountClean();

  TestCopy copy;

 private:
  HandCommit commit_;
};

// A mirror copy on a simulated node.
struct SimMirror {
  SimMirror(sim::SimNetwork& network, const std::string& address, Clock& clock, Random& random,
            uint64_t seed, uint64_t size = kTestPoolSize);
  // As a daemon that was killed and started again.
  Status Restart();

  TestCopy copy;
  sim::SimNode& node;
  Clock& clock;
  Random& random;
  std::unique_ptr<MirrorCopy> mirror;
};

}  // namespace mirdax::test
