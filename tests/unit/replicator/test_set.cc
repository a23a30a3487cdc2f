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
  Region& region = copy.region();
  const Geometry& geometry = copy.geometry();
  const PoolRange data{geometry.data.offset + index * kBlockSize, data_bytes};
  region.Stream(data.offset, std::vector<std::byte>(data.length, fill));
  const Lsn from = copy.commit();
  record_.Clear();
  const uint64_t home = geometry.data.offset + (index + 1) * kBlockSize;
  record_.Add(home, std::vector<std::byte>(kLineSize, fill));
  record_.Seal(from, ++transaction_, CurrentEpoch(copy.store->Get()).number);
  const Lsn to = from + record_.length();
  JournalWriter writer(region, geometry);
  writer.Append(from, record_);
  sink.Post({{&data, 1}, from, to});
  Status status = region.Drain();
  if (status) status = writer.Publish(to);
  MIRDAX_CHECK(status.has_value());
  region.Write(home, record_.bytes());
  region.Flush(home, kLineSize);
  return sink.Wait();
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
