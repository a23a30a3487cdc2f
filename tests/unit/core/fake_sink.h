// SPDX-License-Identifier: BSD-2-Clause
// Mirrors that do as a test tells them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "fs/core/replication_sink.h"

namespace mirdax::test {

// Threads: Post() and Wait() by the leader; the rest by any.
class FakeSink final : public ReplicationSink {
 public:
  struct Batch {
    std::vector<PoolRange> data;
    Lsn from = 0;
    Lsn to = 0;
  };

  void Post(const ReplicationBatch& batch) override {
    batches.push_back({{batch.data.begin(), batch.data.end()}, batch.from, batch.to});
    posted_and_not_waited.fetch_add(1);
    if (on_post) on_post(batch);
  }
  Status Wait() override {
    posted_and_not_waited.fetch_sub(1);
    if (on_wait) on_wait();
    if (fail_with) return Fail(*fail_with, "the sink was told to fail");
    return {};
  }
  Lsn applied() const noexcept override { return applied_lsn.load(); }
  void RequestApply(Lsn lsn) override {
    requested.store(lsn);
    if (applies) applied_lsn.store(lsn);
  }
  Status DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) override {
    if (stuck >= patience && applied_lsn.load() < lsn) applied_lsn.store(kNoMirror);
    return {};
  }

  std::vector<Batch> batches;  // of the leader; read it when nobody commits
  std::function<void(const ReplicationBatch&)> on_post;
  std::function<void()> on_wait;
  std::optional<ErrorCode> fail_with;
  std::atomic<bool> applies{false};  // RequestApply() is done at once
  std::atomic<Lsn> applied_lsn{kNoMirror};
  std::atomic<Lsn> requested{0};
  std::atomic<int> posted_and_not_waited{0};
  std::chrono::nanoseconds patience{std::chrono::hours(1)};
};

}  // namespace mirdax::test
