// SPDX-License-Identifier: BSD-2-Clause
// A whole set over the simulated transport: a primary that commits by hand, and two mirrors.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "fs/core/recovery.h"
#include "tests/unit/replicator/test_set.h"

namespace mirdax::test {

// Threads: one, as the simulation. The parameter: ranges up to this size travel inside the message.
class SetFixture : public ::testing::TestWithParam<size_t> {
 protected:
  SetFixture() : network_(clock_, random_, {7, GetParam(), 10'000}) {
    one_ = std::make_unique<SimMirror>(network_, "one:1", clock_, random_, 11);
    two_ = std::make_unique<SimMirror>(network_, "two:2", clock_, random_, 12);
    options_.mirrors = {"one:1", "two:2"};
    options_.no_auth = true;
  }
  Status Connect() { return ConnectFrom(primary_); }
  Status ConnectFrom(TestPrimary& primary) {
    sink_.reset();
    auto sink = PrimaryReplication::Connect(*primary.copy.pool, *primary.copy.store, options_,
                                            clock_, random_, network_.MakeDialer());
    if (!sink) return Fail(sink.error());
    sink_ = std::move(*sink);
    MIRDAX_CHECK(
        primary.copy.store->Update([](PrivateBlock& block) { block.clean = 0; }).has_value());
    return {};
  }
  std::string StateOf(size_t index) { return sink_->mirrors()[index].state; }
  // The bitmap bit is what a fill goes by.
  void MarkInUse(uint64_t index) {
    const Geometry& geometry = primary_.copy.geometry();
    const uint64_t offset = geometry.block_bitmap.offset + index / 8;
    const std::byte value =
        *primary_.copy.region().At(offset, 1) | static_cast<std::byte>(1U << (index % 8));
    primary_.copy.region().Write(offset, {&value, 1});
    MIRDAX_CHECK(primary_.copy.region().Persist(offset, 1).has_value());
  }
  uint64_t DataOffset(uint64_t index) {
    return primary_.copy.geometry().data.offset + index * kBlockSize;
  }
  // What the mirror would have at `offset` after a power cut and recovery.
  std::vector<std::byte> Recovered(SimMirror& mirror, uint64_t offset, uint64_t length) {
    auto image = mirror.copy.region().CrashImage({});
    MIRDAX_CHECK(image.has_value());
    auto region = RecorderRegion::Create(image->bytes());
    MIRDAX_CHECK(region.has_value());
    auto pool = MemoryPool::Open(std::move(*region));
    MIRDAX_CHECK(pool.has_value());
    auto store = PrivateStore::Open((*pool)->region());
    MIRDAX_CHECK(store.has_value());
    const auto report = RecoverPool(**pool, **store, true);
    EXPECT_TRUE(report.has_value()) << report.error().message;
    const std::byte* bytes = (*pool)->region().At(offset, length);
    return {bytes, bytes + length};
  }

  sim::SimClock clock_;
  SeededRandom random_{3};
  sim::SimNetwork network_;
  TestPrimary primary_;
  std::unique_ptr<SimMirror> one_;
  std::unique_ptr<SimMirror> two_;
  ReplicationOptions options_;
  std::unique_ptr<PrimaryReplication> sink_;
};

// For INSTANTIATE_TEST_SUITE_P: everything is written, or everything travels in the message.
inline const auto kBothWays = ::testing::Values(size_t{0}, size_t{64} * 1024);
inline std::string WayName(const ::testing::TestParamInfo<size_t>& way) {
  return way.param == 0 ? "Written" : "Inline";
}

}  // namespace mirdax::test
