// SPDX-License-Identifier: BSD-2-Clause
// The mirrors of one mount: the real replicator, both ends of it, over the simulated network.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replicator/mirror_copy.h"
#include "replicator/primary_replication.h"
#include "replicator/sim/sim_network.h"
#include "tests/crash/faults.h"
#include "tests/crash/image_region.h"
#include "tests/crash/mounted_image.h"

namespace mirdax::crash {

// When a mirror's background apply runs. It always does when the primary waits for space, which the
// engine shows by asking again.
enum class ApplyMoment : uint8_t { kWhenSpaceWaits, kAfterEachBatch, kAtEachWrite };

struct ReplicaOptions {
  uint64_t seed = 1;        // of the order in which writes land
  size_t inline_limit = 0;  // bytes: ranges up to it travel in messages
  ApplyMoment apply = ApplyMoment::kWhenSpaceWaits;
  bool last_is_lazy = false;  // the last mirror: kWhenSpaceWaits, whatever the others do
};

// Each mirror is a MirrorCopy on an ImageRegion. A one-sided write is in the region, and in its
// log, from the moment it is posted: in flight, as a Region says of a peer's bytes. Where writes
// landed in another order than they were posted, the region logs that too.
//
// Everything happens inside the primary's calls, in one order for one seed.
//
// Threads: one at a time.
class ReplicaSet {
 public:
  // REQUIRES: the regions outlive the object.
  ReplicaSet(const std::vector<std::unique_ptr<ImageRegion>>& regions,
             const ReplicaOptions& options);
  ReplicaSet(const ReplicaSet&) = delete;
  ReplicaSet& operator=(const ReplicaSet&) = delete;
  ~ReplicaSet();

  // Put between the primaries connected from now on and the network; empty: nothing.
  using DialerSeam = std::function<std::unique_ptr<MirrorDialer>(std::unique_ptr<MirrorDialer>)>;
  void set_dialer_seam(DialerSeam seam) { dialer_seam_ = std::move(seam); }

  // Strike in the mirrors' daemons too. Null: none do. REQUIRES: outlive the object.
  void set_faults(Faults* faults) { faults_ = faults; }

  // Called between the slices of a fill, when others may commit.
  void set_between_slices(std::function<void()> call) { between_slices_ = std::move(call); }

  // Starts every mirror's daemon; again, where one was stopped.
  Status Serve();
  // As a kill of the daemon: what is in flight stays in flight.
  void Stop(size_t mirror);
  class Replication;
  // Connects a recovered primary with the mirrors numbered `from` and up, filling those that need
  // it. REQUIRES: this object, and the image, outlive what is returned.
  // `degraded`: as the mount option: mirrors that are listed and not named are given up.
  Result<std::unique_ptr<Replication>> Connect(MountedImage& primary, size_t from = 0,
                                               bool degraded = false);
  // What a mirror does when its primary has said good-bye.
  Status ApplyAll();

  sim::SimNode& node(size_t mirror);
  // Positions in the mirror's log at which a write or a message had just been posted.
  std::vector<size_t> TakePosts(size_t mirror);

 private:
  class Mirror;

  const ReplicaOptions options_;
  sim::SimClock clock_;
  SeededRandom random_;
  sim::SimNetwork network_;
  Faults* faults_ = nullptr;
  std::vector<std::unique_ptr<Mirror>> mirrors_;
  DialerSeam dialer_seam_;
  std::function<void()> between_slices_;
};

// A primary's sink: PrimaryReplication, and what its heartbeat thread and the mirrors' apply
// threads would do, at moments of our choice.
class ReplicaSet::Replication final : public ReplicationSink {
 public:
  Replication(ReplicaSet& set, std::unique_ptr<PrimaryReplication> primary, size_t from)
      : set_(set), primary_(std::move(primary)), from_(from) {}

  void Post(const ReplicationBatch& batch) override { primary_->Post(batch); }
  Status Wait() override;
  void Abandon() override { primary_->Abandon(); }
  Lsn applied() const noexcept override { return primary_->applied(); }
  void RequestApply(Lsn lsn) override;
  Status DropLaggards(Lsn lsn, std::chrono::nanoseconds stuck) override {
    return primary_->DropLaggards(lsn, stuck);
  }

  MirrorStatus StatusOf(size_t mirror) const { return primary_->mirrors()[mirror - from_]; }
  // Empty while the mirror is in sync; else what became of it.
  std::string WhyOut(size_t mirror) const;
  // What the thread does that looks after lost mirrors.
  void Rejoin();
  void Close() { primary_->Close(); }

 private:
  void Apply(bool space_waits);

  ReplicaSet& set_;
  const std::unique_ptr<PrimaryReplication> primary_;
  const size_t from_;    // the number of its first mirror
  Lsn asked_ = ~Lsn{0};  // by the last RequestApply()
};

}  // namespace mirdax::crash
