// SPDX-License-Identifier: BSD-2-Clause
// The engine on an image in a region that somebody else owns.
#pragma once

#include <memory>
#include <string>

#include "fs/core/volume.h"
#include "fs/pmem/superblock_pair.h"
#include "tests/crash/faults.h"

namespace mirdax::crash {

// A pool that lies in a region it does not own.
class ImagePool final : public Pool {
 public:
  static Result<std::unique_ptr<ImagePool>> Open(Region& region);

  Region& region() noexcept override { return region_; }
  const Superblock& superblock() const noexcept override { return pair_.superblock(); }
  const Geometry& geometry() const noexcept override { return pair_.geometry(); }
  const std::string& path() const noexcept override { return path_; }
  Status StoreSuperblock(Superblock next) override { return pair_.Store(region_, next); }

 private:
  ImagePool(Region& region, const SuperblockPair& pair) : region_(region), pair_(pair) {}

  const std::string path_ = "image";
  Region& region_;
  SuperblockPair pair_;
};

// Stands still until it is set.
class StepClock final : public Clock {
 public:
  Timestamp Now() override { return {seconds_, 0}; }
  uint64_t MonotonicNanoseconds() override { return 0; }
  void Set(int64_t seconds) { seconds_ = seconds; }

 private:
  int64_t seconds_ = 0;
};

// Opened, recovered and mounted in steps, so that a caller can look in between. No thread of its
// own: what the commit interval does is done by Volume::Tick().
//
// Threads: as the Volume.
class MountedImage {
 public:
  // Reads the superblock and the private block.
  static Result<std::unique_ptr<MountedImage>> Open(Region& region);
  // Replays the journal: RecoverPool().
  Status Recover();
  // Before Mount(): space may be refused. `faults` outlives the mount.
  void set_faults(Faults* faults) { faults_ = faults; }
  // REQUIRES: Recover() succeeded. `sink` outlives the mount.
  Status Mount(ReplicationSink& sink, bool sync_always = false);
  Status Mount(bool sync_always = false) { return Mount(alone_, sync_always); }
  // Likewise, with a sink that uses this image's pool and private store.
  Status Mount(std::unique_ptr<ReplicationSink> sink, bool sync_always = false) {
    own_sink_ = std::move(sink);
    return Mount(*own_sink_, sync_always);
  }

  // REQUIRES: mounted.
  Volume& volume() { return *volume_; }
  StepClock& clock() { return clock_; }
  PrivateStore& private_store() { return *private_store_; }
  Pool& pool() { return *pool_; }

 private:
  MountedImage(std::unique_ptr<ImagePool> pool, std::unique_ptr<PrivateStore> private_store)
      : pool_(std::move(pool)), private_store_(std::move(private_store)) {}

  const std::unique_ptr<ImagePool> pool_;
  const std::unique_ptr<PrivateStore> private_store_;
  StepClock clock_;
  SeededRandom random_{1};
  Faults* faults_ = nullptr;
  NoReplication alone_;
  std::unique_ptr<ReplicationSink> own_sink_;  // outlives the volume
  std::unique_ptr<Volume> volume_;
};

}  // namespace mirdax::crash
