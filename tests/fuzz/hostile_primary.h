// SPDX-License-Identifier: BSD-2-Clause
// A mirror daemon without sockets, and a primary that means it harm.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "fs/base/random.h"
#include "fs/pmem/private_store.h"
#include "replicator/control_session.h"
#include "replicator/mirror_copy.h"
#include "replicator/sim/sim_network.h"
#include "tests/fuzz/guarded_view.h"
#include "tests/fuzz/mirror_oracle.h"
#include "tests/fuzz/open_targets.h"
#include "tests/fuzz/payload_edits.h"
#include "tests/support/memory_pool.h"

namespace mirdax::fuzz {

// Runs the steps of one input against one mirror copy, and shows each to a MirrorOracle.
//
// Steps, besides those of PayloadEdits, which change the message that follows them:
//   start COPY            a blank mirror (0), one in sync (1); first, else passed over
//   key                   the daemon and this primary hold the same key; first
//   session N             the connection that is used from here on, of 4
//   hangup                ends it
//   restart               of the daemon
//   epoch DELTA           this primary's history grows by an epoch
//   forget                ... shrinks by one
//   send MESSAGE          a control message, see Compose()
//   send_as MESSAGE TYPE  ... as one of another type
//   data MESSAGE N        a data message, see ComposeData()
//   write WINDOW OFFSET LENGTH VALUE    a one-sided write
//   apply                 what the daemon does in the background
class HostilePrimary {
 public:
  static const Grammar& Steps();
  HostilePrimary();
  HostilePrimary(const HostilePrimary&) = delete;
  HostilePrimary& operator=(const HostilePrimary&) = delete;
  ~HostilePrimary();

  void Run(const Recipe& recipe);

 private:
  using Numbers = std::array<uint64_t, kMostNumbers>;
  static constexpr size_t kSessions = 4;
  struct Session {
    std::unique_ptr<ControlSession> control;
    std::vector<std::byte> hello, challenge;
    uint64_t sequence = 0;
  };

  void Begin(bool in_sync);
  void Restart();
  void TakeStep(std::string_view word, const Numbers& n);
  Session& session();
  void EndSession();
  // The N-th kind of control message, and its type.
  Frame Compose(uint64_t n);
  void Send(uint64_t message, std::optional<FrameType> type);
  std::vector<std::byte> ComposeData(uint64_t n, uint64_t block);
  void AddRecord(DataMessage& message, const Geometry& geometry, uint64_t home, Lsn& to);
  void SendData(uint64_t message, uint64_t block);
  void WriteOneSided(const Numbers& n);
  EpochId epoch() const { return epochs_.history.back().epoch; }

  sim::SimClock clock_;
  SeededRandom random_{1};
  OpenTargets targets_;
  GuardedView* view_ = nullptr;  // the pool's
  std::unique_ptr<test::MemoryPool> pool_;
  std::unique_ptr<PrivateStore> store_;
  std::unique_ptr<MirrorCopy> copy_;
  std::shared_ptr<const Key> key_;
  MirrorOracle oracle_;

  std::array<Session, kSessions> sessions_;
  size_t current_ = 0;
  SessionId next_session_ = 1;
  PayloadEdits pending_;
  // What this primary pretends to be.
  Superblock superblock_{};
  Uuid copy_uuid_;
  EpochRecord epochs_;
};

}  // namespace mirdax::fuzz
