// SPDX-License-Identifier: BSD-2-Clause
// A mounted volume on a recorded pool in memory, and what a test does with it: short calls, clean
// remounts, power cuts, a full check of the pool.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fs/core/volume.h"
#include "fs/pmem/recorder_region.h"
#include "tests/support/memory_pool.h"
#include "tests/unit/core/fake_sink.h"
#include "tools/fsck/check.h"

namespace mirdax::test {

// Real time unless a test sets it.
class TestClock final : public Clock {
 public:
  Timestamp Now() override { return fixed ? *fixed : system_.Now(); }
  uint64_t MonotonicNanoseconds() override { return system_.MonotonicNanoseconds(); }
  std::optional<Timestamp> fixed;

 private:
  SystemClock system_;
};

inline ErrorCode CodeOf(const Status& status) {
  return status ? ErrorCode{255} : status.error().code;
}
template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  return result ? ErrorCode{255} : result.error().code;
}
inline constexpr ErrorCode kOk{255};

// AttributeChange with the fields that `fill` sets.
template <typename Fill>
AttributeChange Changing(const Fill& fill) {
  AttributeChange change;
  fill(change);
  return change;
}
inline AttributeChange Mode(uint32_t mode) {
  return Changing([mode](AttributeChange& change) { change.mode = mode; });
}
inline AttributeChange Size(uint64_t size) {
  return Changing([size](AttributeChange& change) { change.size = size; });
}

class World {
 public:
  struct Options {
    uint64_t pool_size = uint64_t{16} << 20;
    std::optional<uint64_t> inode_count;
    VolumeOptions volume{.background = false};
  };

  World() : World(Options{}) {}
  explicit World(const Options& options) : options_(options) {
    auto region = RecorderRegion::Create(options.pool_size);
    MIRDAX_CHECK(region.has_value());
    recorder_ = region->get();
    FormatOptions format;
    format.geometry.journal_size = kMinJournalSize;
    format.geometry.inode_count = options.inode_count;
    pool_ = MemoryPool::Create(std::move(*region), format);
    Mount();
  }
  // Mounts what a power cut left.
  explicit World(std::span<const std::byte> image) {
    Open(image);
    Mount();
  }
  ~World() { volume_.reset(); }

  Volume& volume() { return *volume_; }
  RecorderRegion& recorder() { return *recorder_; }
  FakeSink& sink() { return sink_; }
  MemoryPool& pool() { return *pool_; }
  TestClock& clock() { return clock_; }
  PrivateStore& private_store() { return *private_store_; }
  Options& options() { return options_; }

  Status TryMount() {
    auto store = PrivateStore::Open(*recorder_);
    MIRDAX_CHECK(store.has_value());
    private_store_ = std::move(*store);
    auto volume = Volume::Mount(*pool_, *private_store_, sink_, clock_, random_, options_.volume);
    if (!volume) return Fail(volume.error());
    volume_ = std::move(*volume);
    return {};
  }
  void Mount() {
    const Status mounted = TryMount();
    if (!mounted) ADD_FAILURE() << "mount: " << mounted.error().message;
    MIRDAX_CHECK(mounted.has_value());
  }
  void Remount() {
    const Status unmounted = volume_->Unmount();
    ASSERT_TRUE(unmounted.has_value()) << unmounted.error().message;
    EXPECT_EQ(private_store_->Get().clean, 1U);
    volume_.reset();
    Check();
    Mount();
  }

  // Loses everything in flight but a random part of it, mounts what is left. 0: keeps nothing.
  void Crash(uint64_t seed = 0) {
    std::vector<LandedLine> landed;
    if (seed != 0) {
      std::mt19937_64 random(seed);
      for (const uint64_t line : recorder_->InFlightLines()) {
        const auto words = static_cast<uint8_t>(random() & random() & 0xff);
        if (words != 0 && (random() & 1) != 0) landed.push_back({line, words});
      }
    }
    auto image = recorder_->CrashImage(landed);
    MIRDAX_CHECK(image.has_value());
    volume_.reset();
    private_store_.reset();
    Open(image->bytes());
    Check();
    Mount();
  }

  // fsck on a copy of what is durable now (or would be after a power cut).
  void Check() {
    auto image = recorder_->CrashImage({});
    MIRDAX_CHECK(image.has_value());
    auto copy = RecorderRegion::Create(image->bytes());
    MIRDAX_CHECK(copy.has_value());
    const auto report = fsck::CheckPool(**copy);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    for (const fsck::Finding& finding : report->findings.kept()) {
      if (fsck::InfoOf(finding.code).severity == fsck::Severity::kError) {
        ADD_FAILURE() << "fsck: " << finding.text << " (" << finding.path << ")";
      }
    }
    EXPECT_TRUE(report->clean());
  }

  // --- short calls ---
  Ino Create(Ino parent, std::string_view name, uint32_t mode = 0644) {
    const auto made = volume_->Create(parent, name, mode, caller);
    EXPECT_TRUE(made.has_value()) << name << ": " << ErrorCodeName(CodeOf(made));
    return made ? made->ino : 0;
  }
  Ino MakeDirectory(Ino parent, std::string_view name, uint32_t mode = 0755) {
    const auto made = volume_->MakeDirectory(parent, name, mode, caller);
    EXPECT_TRUE(made.has_value()) << name << ": " << ErrorCodeName(CodeOf(made));
    return made ? made->ino : 0;
  }
  // The inode without keeping a lookup count; 0 when there is none.
  Ino Find(Ino parent, std::string_view name) {
    const auto found = volume_->Lookup(parent, name);
    if (!found) {
      EXPECT_EQ(CodeOf(found), ErrorCode::kNotFound) << found.error().message;
      return 0;
    }
    volume_->Forget(found->ino, 1);
    return found->ino;
  }
  uint64_t Write(Ino ino, uint64_t offset, std::string_view text) {
    const auto written = volume_->Write(ino, offset, std::as_bytes(std::span(text)));
    EXPECT_TRUE(written.has_value()) << ErrorCodeName(CodeOf(written));
    return written.value_or(0);
  }
  std::string Read(Ino ino, uint64_t offset = 0, uint64_t length = uint64_t{1} << 30) {
    std::string text;
    const Status read = volume_->Read(
        ino, offset, length, [&text](std::span<const std::span<const std::byte>> spans) {
          for (const auto& span : spans) {
            text.append(reinterpret_cast<const char*>(span.data()), span.size());
          }
        });
    EXPECT_TRUE(read.has_value()) << read.error().message;
    return text;
  }
  Attributes Stat(Ino ino) {
    const auto found = volume_->GetAttributes(ino);
    EXPECT_TRUE(found.has_value()) << ErrorCodeName(CodeOf(found));
    return found.value_or(Attributes{});
  }
  Status Truncate(Ino ino, uint64_t size) {
    const auto set = volume_->SetAttributes(ino, Size(size));
    if (!set) return Fail(set.error());
    return {};
  }
  std::vector<std::string> List(Ino dir) {
    std::vector<std::string> names;
    const Status read =
        volume_->ReadDirectory(dir, 0, false, [&names](const DirEntry& entry, const Attributes*) {
          names.emplace_back(entry.name);
          return true;
        });
    EXPECT_TRUE(read.has_value());
    return names;
  }

  Caller caller{1000, 1000, 022};

 private:
  void Open(std::span<const std::byte> image) {
    auto region = RecorderRegion::Create(image);
    MIRDAX_CHECK(region.has_value());
    recorder_ = region->get();
    auto pool = MemoryPool::Open(std::move(*region));
    MIRDAX_CHECK(pool.has_value());
    pool_ = std::move(*pool);
  }

  Options options_;
  TestClock clock_;
  SeededRandom random_{1};
  FakeSink sink_;
  RecorderRegion* recorder_ = nullptr;
  std::unique_ptr<MemoryPool> pool_;
  std::unique_ptr<PrivateStore> private_store_;
  std::unique_ptr<Volume> volume_;
};

}  // namespace mirdax::test
