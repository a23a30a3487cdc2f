// SPDX-License-Identifier: BSD-2-Clause
// The primary's end of the wire: one or two mirrors whose answers are bent, lost, repeated or cut
// off, from the first frame of the handshake to the last answer of the data connection.
//
// Steps: those of Bender, and
//   start STATE MIRRORS DEGRADED   first: fresh primary and blank mirrors (0), or an equal pair
//                                  (1, and the second mirror blank); 1 or 2 mirrors; -o degraded
//   key                            both ends hold the same key; first
//   inline                         small ranges travel in the message; first
//   commit BLOCK BLOCKS            data and a record, posted and waited for
//   beat                           a round of heartbeats
//   rejoin                         an attempt at every mirror that is out of sync
//   close                          and a new mount
//
// Violations, besides crashes and hangs:
//  - a call takes longer than its deadlines allow together (R10)
//  - a mirror's answer makes the primary store anywhere but in its private block (R9)
//  - a commit is acknowledged, and a mirror of the persisted in-sync list, all of whose answers
//    arrived as they were, does not hold it (R5)
#include <fstream>

#include "replicator/primary_replication.h"
#include "tests/fuzz/bent_wire.h"
#include "tests/fuzz/set_images.h"
#include "tests/fuzz/target.h"
#include "tests/support/hand_commit.h"
#include "tests/support/memory_pool.h"
#include "tests/support/temp_dir.h"

#include <sys/stat.h>

#include <array>

namespace mirdax::fuzz {
namespace {

constexpr std::chrono::milliseconds kMirrorTimeout{2000};
// More than any call may need: a dozen exchanges with each of two mirrors, and a new epoch for each
// that is lost.
constexpr uint64_t kMostNanoseconds = uint64_t{40} * 2'000'000'000;
constexpr uint64_t kMostBlocks = 40;

template <typename T>
T Must(Result<T> result) {
  MIRDAX_CHECK(result.has_value());
  return std::move(*result);
}

// A key file of the process.
const std::string& KeyPath() {
  static const test::TempDir directory;
  static const std::string path = [] {
    std::string file = directory.File("key");
    std::ofstream(file) << std::string(kMinKeyBytes, 'k');
    MIRDAX_CHECK(chmod(file.c_str(), 0600) == 0);
    return file;
  }();
  return path;
}

class Mirror {
 public:
  Mirror(const BaseImage& image, sim::SimNode& node, sim::SimClock& clock, Random& random,
         std::shared_ptr<const Key> key)
      : node_(node) {
    auto view = std::make_unique<GuardedView>(image);
    region_ = view.get();
    pool_ = Must(test::MemoryPool::Open(std::move(view)));
    store_ = Must(PrivateStore::Open(*region_));
    copy_ = Must(MirrorCopy::Open(*pool_, *store_, node, clock, random));
    node.Serve(*copy_, std::move(key));
  }
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;
  ~Mirror() { node_.StopServing(); }

  Region& region() { return *region_; }
  Uuid copy_uuid() const { return Uuid{store_->Get().copy_uuid}; }

 private:
  sim::SimNode& node_;
  GuardedView* region_ = nullptr;
  std::unique_ptr<test::MemoryPool> pool_;
  std::unique_ptr<PrivateStore> store_;
  std::unique_ptr<MirrorCopy> copy_;
};

class Set {
 public:
  static const Grammar& Steps();
  explicit Set(const Recipe& recipe);
  void Run(const Recipe& recipe);

 private:
  using Numbers = std::array<uint64_t, kMostNumbers>;
  void Mount();
  void Commit(uint64_t block, uint64_t blocks);
  // Runs a call of the primary's, within its time; it may store into the private block only.
  template <typename Call>
  void InTime(std::string_view what, Call call);
  void CheckStores(std::string_view what);

  bool equal_pair_ = false;
  size_t mirror_count_ = 1;
  ReplicationOptions options_;
  sim::SimOptions sim_options_;
  std::shared_ptr<const Key> key_;
  Bender bender_;

  sim::SimClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<sim::SimNetwork> network_;
  std::vector<std::unique_ptr<Mirror>> mirrors_;
  GuardedView* region_ = nullptr;
  std::unique_ptr<test::MemoryPool> pool_;
  std::unique_ptr<PrivateStore> store_;
  std::unique_ptr<PrimaryReplication> replication_;
  test::HandCommit hand_;
  std::byte fill_{1};
};

const Grammar& Set::Steps() {
  static const Grammar steps = [] {
    const auto index = [](uint64_t limit) { return Argument{Argument::kIndex, limit}; };
    Grammar all = {{"start", {index(2), index(2), index(2)}},
                   {"key", {}},
                   {"inline", {}},
                   {"commit", {index(200), index(kMostBlocks)}},
                   {"beat", {}},
                   {"rejoin", {}},
                   {"close", {}}};
    Bender::AddSteps(all);
    return all;
  }();
  return steps;
}

Set::Set(const Recipe& recipe) {
  options_.mirror_timeout = kMirrorTimeout;
  options_.no_auth = true;
  for (const Step& step : recipe) {
    const std::string_view word = Steps()[step.kind].word;
    if (word == "start") {
      equal_pair_ = step.numbers[0] % 2 == 1;
      mirror_count_ = 1 + step.numbers[1] % 2;
      options_.degraded = step.numbers[2] % 2 == 1;
    } else if (word == "key") {
      key_ = std::make_shared<Key>(std::vector<std::byte>(kMinKeyBytes, std::byte{'k'}));
      options_.no_auth = false;
      options_.key_file = KeyPath();
    } else if (word == "inline") {
      sim_options_.inline_limit = size_t{16} << 10;
    } else {
      bender_.Take(word, step.numbers);
    }
  }
  const SetImages& images = TheSetImages();
  network_ = std::make_unique<sim::SimNetwork>(clock_, random_, sim_options_);
  for (size_t i = 0; i < mirror_count_; ++i) {
    const BaseImage& image = equal_pair_ && i == 0 ? images.mirror : images.blank_mirror;
    mirrors_.push_back(std::make_unique<Mirror>(image, network_->AddNode(kMirrorAddresses[i]),
                                                clock_, random_, key_));
    options_.mirrors.emplace_back(kMirrorAddresses[i]);
  }
  auto view = std::make_unique<GuardedView>(equal_pair_ ? images.primary : images.fresh_primary);
  region_ = view.get();
  pool_ = Must(test::MemoryPool::Open(std::move(view)));
  store_ = Must(PrivateStore::Open(*region_));
}

void Set::CheckStores(std::string_view what) {
  for (const PoolRange& store : region_->stores())
    Expect(
        store.offset >= kPrivateBlockOffset && store.end() <= kPrivateBlockOffset + 2 * kBlockSize,
        "{} stored {} bytes at {}", what, store.length, store.offset);
  region_->ForgetStores();
}

template <typename Call>
void Set::InTime(std::string_view what, Call call) {
  region_->ForgetStores();
  const uint64_t begin = clock_.MonotonicNanoseconds();
  call();
  const uint64_t took = clock_.MonotonicNanoseconds() - begin;
  Expect(took <= kMostNanoseconds, "{} took {} ms", what, took / 1'000'000);
}

void Set::Mount() {
  InTime("mount", [&] {
    auto connected =
        PrimaryReplication::Connect(*pool_, *store_, options_, clock_, random_,
                                    MakeBentDialer(network_->MakeDialer(), bender_, clock_));
    CheckStores("mount");
    if (!connected) {
      Expect(!connected.error().message.empty(), "the mount fails without a reason");
      return;
    }
    replication_ = std::move(*connected);
  });
  if (replication_ == nullptr) return;
  const Status in_use = store_->Update([](PrivateBlock& block) { block.clean = 0; });
  Expect(in_use.has_value(), "the private block cannot be changed");
}

void Set::Commit(uint64_t block, uint64_t blocks) {
  const uint64_t count = 1 + blocks % kMostBlocks;
  const uint64_t index = block % (pool_->geometry().data_blocks - count - 1);
  fill_ = static_cast<std::byte>(std::to_integer<unsigned>(fill_) + 1);
  Status status;
  InTime("commit", [&] {
    status = hand_.Commit(*pool_, CurrentEpoch(store_->Get()), *replication_, index, fill_,
                          count * kBlockSize);
  });
  if (!status) {
    Expect(!status.error().message.empty(), "a commit fails without a reason");
    return;
  }
  const Lsn commit = region_->As<CommitLine>(kCommitLineOffset).commit;
  const uint64_t offset = pool_->geometry().data.offset + index * kBlockSize;
  for (const Member& member : store_->Get().members) {
    if (member.state != MemberState::kInSync) continue;
    for (size_t i = 0; i < mirrors_.size(); ++i) {
      Mirror& mirror = *mirrors_[i];
      if (Uuid{member.copy_uuid} != mirror.copy_uuid() || !bender_.Honest(kMirrorAddresses[i]))
        continue;
      Expect(mirror.region().As<CommitLine>(kCommitLineOffset).commit == commit,
             "an acknowledged commit is not on in-sync mirror {}", kMirrorAddresses[i]);
      Expect(std::memcmp(mirror.region().At(offset, count * kBlockSize),
                         region_->At(offset, count * kBlockSize), count * kBlockSize) == 0,
             "acknowledged data is not on in-sync mirror {}", kMirrorAddresses[i]);
    }
  }
}

void Set::Run(const Recipe& recipe) {
  Mount();
  for (const Step& step : recipe) {
    const std::string_view word = Steps()[step.kind].word;
    const Numbers& n = step.numbers;
    if (replication_ == nullptr) return;
    if (word == "commit") {
      Commit(n[0], n[1]);
    } else if (word == "beat") {
      InTime("a heartbeat", [&] { replication_->Beat(); });
      CheckStores("a heartbeat");
    } else if (word == "rejoin") {
      InTime("a rejoin", [&] { replication_->Rejoin(); });
      CheckStores("a rejoin");
    } else if (word == "close") {
      InTime("close", [&] { replication_->Close(); });
      CheckStores("close");
      replication_.reset();
      const Status tail = store_->Update([&](PrivateBlock& block) {
        block.tail = region_->As<CommitLine>(kCommitLineOffset).commit;
      });
      Expect(tail.has_value(), "the private block cannot be changed");
      Mount();
    }
    if (replication_ != nullptr) (void)replication_->mirrors();
  }
  if (replication_ != nullptr) {
    InTime("close", [&] { replication_->Close(); });
  }
}

}  // namespace

const Grammar* InputGrammar() { return &Set::Steps(); }

void RunInput(std::string_view input) {
  const Recipe recipe = ParseRecipe(input, Set::Steps());
  Set(recipe).Run(recipe);
}

}  // namespace mirdax::fuzz
