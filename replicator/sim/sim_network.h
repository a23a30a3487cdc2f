// SPDX-License-Identifier: BSD-2-Clause
// The simulated transport: a primary and its mirrors in one process and one thread, from one seed.
// It does what a fabric may do and a test would wait long for: one-sided writes pass each other,
// arrive late, or never; connections are cut, mirrors freeze.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "replicator/control_session.h"
#include "replicator/data_target.h"
#include "replicator/dialer.h"

namespace mirdax::sim {

// Time moves only when somebody waits.
class SimClock final : public Clock {
 public:
  Timestamp Now() override { return {static_cast<int64_t>(now_ / 1'000'000'000), 0}; }
  uint64_t MonotonicNanoseconds() override { return now_; }
  void Advance(uint64_t nanoseconds) { now_ += nanoseconds; }
  void AdvanceTo(uint64_t moment) { now_ = std::max<uint64_t>(now_, moment); }

 private:
  std::atomic<uint64_t> now_ = 1'000'000'000;
};

// What was posted towards a mirror, in the order in which it took effect there.
struct Delivery {
  enum class Kind : uint8_t { kWrite, kMessage } kind;
  uint64_t offset = 0;  // kWrite
  std::vector<std::byte> bytes;
};

class SimNetwork;

// Sees what goes over a node's data connection, at the moment at which it happens.
class SimTap {
 public:
  virtual ~SimTap() = default;
  // The primary has posted a write that the mirror's keys allow: from now on it may land, in any
  // part and order, whatever becomes of the primary.
  virtual void Posted(uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual void Sent() = 0;  // a message, which arrives after those writes
  // The mirror's memory is about to be stored to, which no Region sees.
  virtual void Placing(uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Runs a part of the mirror's daemon, in which memory may run out.
  virtual void Run(const std::function<void()>& daemon) { daemon(); }
};

// One mirror's place on the network: how it is reached, and what happens to what is sent to it.
class SimNode final : public DataTargetFactory {
 public:
  SimNode(SimNetwork& network, std::string address)
      : network_(network), address_(std::move(address)) {}

  // Starts serving. The copy uses this node as its DataTargetFactory.
  void Serve(MirrorCopy& copy, std::shared_ptr<const Key> key) {
    copy_ = &copy;
    key_ = std::move(key);
  }
  // As SIGKILL of the daemon: its sessions are gone. Before the copy is destroyed.
  void StopServing();

  void set_frozen(bool frozen) { frozen_ = frozen; }  // answers nothing, loses nothing
  void set_cut(bool cut) { cut_ = cut; }              // connections break, new ones are refused
  bool frozen() const { return frozen_; }
  bool cut() const { return cut_; }
  // The next `count` deliveries happen, then the connection breaks.
  void CutAfter(size_t count) { cut_after_ = count; }
  const std::vector<Delivery>& log() const { return log_; }
  void set_tap(SimTap* tap) { tap_ = tap; }  // null: none

  Result<std::unique_ptr<DataTarget>> Listen(const std::string& provider, const Cookie& cookie,
                                             std::span<std::byte> memory,
                                             std::shared_ptr<DataHandler> handler) override;

 private:
  friend class SimNetwork;
  friend class SimLink;
  friend class SimChannel;
  friend class SimTarget;
  friend class SimDialer;

  bool CountDelivery();  // false: the connection breaks here
  // A part of the daemon. False: it had no memory, and the connection ends.
  bool Run(const std::function<void()>& daemon);

  SimNetwork& network_;
  const std::string address_;
  MirrorCopy* copy_ = nullptr;
  std::shared_ptr<const Key> key_;
  bool frozen_ = false;
  bool cut_ = false;
  size_t cut_after_ = SIZE_MAX;
  class SimTarget* target_ = nullptr;
  std::set<class SimChannel*> channels_;
  std::vector<Delivery> log_;
  SimTap* tap_ = nullptr;
};

struct SimOptions {
  uint64_t seed = 1;
  size_t inline_limit = 0;       // as DataLink::inline_limit()
  uint64_t latency_ns = 10'000;  // of one exchange
};

// Threads: one, except that the clock may be read by any.
class SimNetwork {
 public:
  SimNetwork(SimClock& clock, Random& random, const SimOptions& options)
      : clock_(clock), random_(random), options_(options), order_(options.seed) {}

  SimNode& AddNode(const std::string& address);
  std::unique_ptr<MirrorDialer> MakeDialer();

 private:
  friend class SimNode;
  friend class SimTarget;
  friend class SimChannel;
  friend class SimLink;
  friend class SimDialer;

  SimNode* Find(const std::string& address);

  SimClock& clock_;
  Random& random_;
  const SimOptions options_;
  std::mt19937_64 order_;
  SessionId next_session_ = 1;
  uint64_t next_key_ = 1;
  std::map<std::string, std::unique_ptr<SimNode>> nodes_;
};

}  // namespace mirdax::sim
