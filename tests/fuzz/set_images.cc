// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/set_images.h"

#include "fs/base/check.h"
#include "replicator/mirror_copy.h"
#include "replicator/primary_replication.h"
#include "replicator/sim/sim_network.h"
#include "tests/support/hand_commit.h"
#include "tests/support/memory_pool.h"

namespace mirdax::fuzz {
namespace {

constexpr uint64_t kPrimarySeed = 1;
constexpr uint64_t kMirrorSeed = 2;
constexpr uint64_t kBlocksInUse = 8;

std::unique_ptr<test::MemoryPool> MakePrimary() {
  FormatOptions options;
  options.geometry.journal_size = kMinJournalSize;
  options.geometry.inode_count = 256;
  auto pool = test::MemoryPool::Create(kMinPoolSize, options, kPrimarySeed);
  std::byte* bitmap = pool->region().memory().data() + pool->geometry().block_bitmap.offset;
  bitmap[0] |= std::byte{(1U << kBlocksInUse) - 1};
  return pool;
}

std::unique_ptr<test::MemoryPool> MakeMirror() {
  FormatOptions options;
  options.mirror = true;
  return test::MemoryPool::Create(kMinPoolSize, options, kMirrorSeed);
}

template <typename T>
T Must(Result<T> result) {
  MIRDAX_CHECK(result.has_value());
  return std::move(*result);
}

// Brings both copies to where a clean unmount leaves them.
void Run(test::MemoryPool& primary, test::MemoryPool& mirror) {
  sim::SimClock clock;
  SeededRandom random(1);
  sim::SimNetwork network(clock, random, {});
  sim::SimNode& node = network.AddNode(kMirrorAddresses[0]);
  const auto mirror_store = Must(PrivateStore::Open(mirror.region()));
  const auto copy = Must(MirrorCopy::Open(mirror, *mirror_store, node, clock, random));
  node.Serve(*copy, nullptr);
  const auto store = Must(PrivateStore::Open(primary.region()));
  ReplicationOptions options;
  options.mirrors = {kMirrorAddresses[0]};
  options.no_auth = true;
  const auto replication = Must(
      PrimaryReplication::Connect(primary, *store, options, clock, random, network.MakeDialer()));
  test::HandCommit hand;
  for (uint64_t i = 0; i < 3; ++i) {
    MIRDAX_CHECK(
        hand.Commit(primary, CurrentEpoch(store->Get()), *replication, i, std::byte{7}, kBlockSize)
            .has_value());
  }
  replication->Close();
  MIRDAX_CHECK(copy->Apply().has_value());
  MIRDAX_CHECK(store
                   ->Update([&](PrivateBlock& block) {
                     block.tail = primary.region().As<CommitLine>(kCommitLineOffset).commit;
                     block.clean = 1;
                   })
                   .has_value());
  node.StopServing();
}

SetImages Make() {
  const auto primary = MakePrimary();
  const auto mirror = MakeMirror();
  Run(*primary, *mirror);
  return {BaseImage(MakePrimary()->region().memory()), BaseImage(MakeMirror()->region().memory()),
          BaseImage(primary->region().memory()), BaseImage(mirror->region().memory())};
}

}  // namespace

const SetImages& TheSetImages() {
  static const SetImages images = Make();
  return images;
}

}  // namespace mirdax::fuzz
