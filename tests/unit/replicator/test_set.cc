// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/replicator/test_set.h"

#include <algorithm>

#include "fs/base/check.h"

namespace mirdax::test {

TestCopy::TestCopy(bool mirror, uint64_t seed, uint64_t size) {
  auto recorder = RecorderRegion::Create(size);
  MIRDAX_CHECK(recorder.has_value());
  FormatOptions options;
  options.mirror = mirror;
  if (!mirror) options.geometry.journal_size = kMinJournalSize;
  pool = MemoryPool::Create(std::move(*recorder), options, seed);
  auto opened = PrivateStore::Open(pool->region());
  MIRDAX_CHECK(opened.has_value());
  store = std::move(*opened);
}

std::vector<std::byte> TestCopy::Durable(uint64_t offset, uint64_t length) {
  auto image = region().CrashImage({});
  MIRDAX_CHECK(image.has_value());
  const auto bytes = image->bytes().subspan(offset, length);
  return {bytes.begin(), bytes.end()};
}

Status TestPrimary::Commit(ReplicationSink& sink, uint64_t index, std::byte fill,
                           uint64_t data_bytes) {
  return commit_.Commit(*copy.pool, CurrentEpoch(copy.store->Get()), sink, index, fill, data_bytes);
}

void TestPrimary::UnmountClean() {
  MIRDAX_CHECK(copy.region().Drain().has_value());
  MIRDAX_CHECK(copy.store
                   ->Update([&](PrivateBlock& block) {
                     block.tail = copy.commit();
                     block.clean = 1;
                   })
                   .has_value());
}

SimMirror::SimMirror(sim::SimNetwork& network, const std::string& address, Clock& the_clock,
                     Random& the_random, uint64_t seed, uint64_t size)
    : copy(true, seed, size), node(network.AddNode(address)), clock(the_clock), random(the_random) {
  MIRDAX_CHECK(Restart().has_value());
}

Status SimMirror::Restart() {
  node.StopServing();
  mirror.reset();
  MIRDAX_ASSIGN(copy.store, PrivateStore::Open(copy.region()));
  MIRDAX_ASSIGN(mirror, MirrorCopy::Open(*copy.pool, *copy.store, node, clock, random));
  node.Serve(*mirror, nullptr);
  return {};
}

}  // namespace mirdax::test
