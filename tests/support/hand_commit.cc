// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/hand_commit.h"

#include <vector>

namespace mirdax::test {

Status HandCommit::Commit(Pool& pool, EpochId epoch, ReplicationSink& sink, uint64_t index,
                          std::byte fill, uint64_t data_bytes) {
  Region& region = pool.region();
  const Geometry& geometry = pool.geometry();
  const PoolRange data{geometry.data.offset + index * kBlockSize, data_bytes};
  region.Stream(data.offset, std::vector<std::byte>(data.length, fill));
  const Lsn from = region.As<CommitLine>(kCommitLineOffset).commit;
  record_.Clear();
  const uint64_t home = (data.end() + kBlockSize - 1) / kBlockSize * kBlockSize;
  record_.Add(home, std::vector<std::byte>(kLineSize, fill));
  record_.Seal(from, ++transaction_, epoch.number);
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

}  // namespace mirdax::test
