// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/interleaved_run.h"

#include <algorithm>
#include <span>
#include <utility>

#include "replicator/epochs.h"
#include "tests/crash/current_case.h"
#include "tests/crash/interleaver.h"
#include "tests/crash/mirrored_pool.h"
#include "tests/crash/replica_set.h"

namespace mirdax::crash {
namespace {

constexpr size_t kMostOperations = 64;  // bits of Moment::open

// --- what may stand in a workload ---

bool IsFilePath(std::string_view path) { return !path.starts_with('@') && path != "/"; }

std::string DirOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? std::string() : path.substr(0, slash);
}

struct Names {
  std::vector<std::string> changed;  // made, removed, renamed
  std::vector<std::string> used;     // looked up before the operation proper
};

Names NamesOf(const Operation& op) {
  Names names;
  const auto change = [&names](const std::string& path) {
    names.changed.push_back(path);
    names.used.push_back(DirOf(path));
  };
  switch (op.kind) {
    case OpKind::kCreate:
    case OpKind::kMkdir:
    case OpKind::kMknod:
    case OpKind::kSymlink:
    case OpKind::kUnlink:
    case OpKind::kRmdir:
      change(op.path);
      break;
    case OpKind::kRename:
      change(op.path);
      change(op.other);
      break;
    case OpKind::kLink:
      names.used.push_back(op.path);
      change(op.other);
      break;
    case OpKind::kCopy:
      names.used = {op.path, op.other};
      break;
    default:
      names.used.push_back(op.path);
  }
  std::erase_if(names.used,
                [](const std::string& path) { return path.empty() || !IsFilePath(path); });
  return names;
}

bool IsWithin(const std::string& path, const std::string& dir) {
  return path == dir || path.starts_with(dir + "/");
}

Status CheckPair(const Operation& user, const Operation& changer) {
  for (const std::string& used : NamesOf(user).used) {
    for (const std::string& changed : NamesOf(changer).changed) {
      if (!IsWithin(used, changed)) continue;
      return Fail(ErrorCode::kInvalid,
                  "'{}' uses {}, which '{}' changes: open it before, and use the handle",
                  PrintOperation(user), used, PrintOperation(changer));
    }
  }
  return {};
}

// Where the consecutive lines with clients that begin at `first` end.
size_t EndOfSection(const std::vector<Operation>& operations, size_t first) {
  size_t end = first;
  while (end < operations.size() && operations[end].client != 0) ++end;
  return end;
}

// --- the run ---

bool IsSync(const Operation& op) {
  return ScopeOf(op) != SyncScope::kNothing && op.kind != OpKind::kUnmount;
}

class Runner {
 public:
  // `regions`: of all copies, the primary's first.
  Runner(const std::vector<ImageRegion*>& regions, const Workload& workload, InterleavedRun& run,
         MountedImage& mounted)
      : regions_(regions),
        workload_(workload),
        run_(run),
        mounted_(mounted),
        executor_(mounted.volume()),
        seconds_(workload.clients() + 1),
        interleaver_(workload.clients(), workload.schedule,
                     [this](unsigned client) { mounted_.clock().Set(seconds_[client + 1]); }) {
    run_.operations.reserve(workload.operations.size());
  }

  // `ends`: what happens by itself after the last operation.
  Status Run(const std::function<Status()>& ends) {
    const std::vector<Operation>& all = workload_.operations;
    for (size_t at = 0; at < all.size();) {
      if (all[at].client == 0) {
        Do(all[at++]);
        continue;
      }
      const size_t end = EndOfSection(all, at);
      RunSection(std::span(all).subspan(at, end - at));
      at = end;
    }
    run_.interleaving = interleaver_.fingerprint();
    MIRDAX_TRY(ends());
    ended_ = LogSizes();
    executor_.CloseAll();
    if (unmounted_) return {};
    MIRDAX_ASSIGN(run_.end, Observe(mounted_.volume()));
    return {};
  }

  // Of a copy, by its place in `regions`. Cuts off what the log has from after the end.
  // `posts`: see Recording.
  std::vector<CrashPoint> MakePoints(size_t copy, std::vector<RegionEvent>& log,
                                     const std::vector<size_t>& posts) const;
  void CountSharedCommits();

 private:
  struct Mark {                  // an operation begins or returns
    std::vector<size_t> events;  // by copy
    uint64_t sequence;           // of the last of them
    size_t index;                // in run_.operations
    bool returns;
  };

  void RunSection(std::span<const Operation> operations) {
    std::vector<std::function<void()>> bodies(workload_.clients());
    for (unsigned client = 1; client <= bodies.size(); ++client) {
      bodies[client - 1] = [this, operations, client, whose = CurrentCase::OfThread()] {
        const CurrentCase::Helper helper(whose);
        for (const Operation& operation : operations) {
          if (operation.client == client) Do(operation);
        }
      };
    }
    interleaver_.Run(std::move(bodies));
  }

  // By the thread of its client, or the caller's. Others go on only inside the engine.
  void Do(const Operation& operation) {
    const size_t index = run_.operations.size();
    seconds_[operation.client] = SecondsAt(static_cast<uint32_t>(index) + 1);
    mounted_.clock().Set(seconds_[operation.client]);
    run_.operations.push_back({.operation = operation, .answer = {}});
    threads_.push_back(std::this_thread::get_id());
    const uint64_t waits = Waits(operation.client);
    MarkNow(index, false);
    const Result<uint64_t> answer = executor_.Do(operation);
    MarkNow(index, true);
    waited_.resize(std::max(waited_.size(), index + 1), false);
    waited_[index] = Waits(operation.client) != waits;
    InterleavedRun::Done& done = run_.operations[index];
    if (!answer) done.answer = answer.error().code;
    if (answer && *answer < operation.length && run_.scarce && StoresBytes(operation.kind)) {
      done.operation.length = *answer;
    }
    unmounted_ = unmounted_ || (operation.kind == OpKind::kUnmount && answer);
  }
  uint64_t Waits(unsigned client) const {
    return client == 0 ? 0 : interleaver_.conditions_awaited(client - 1);
  }
  void MarkNow(size_t index, bool returns) {
    InterleavedRun::Done& done = run_.operations[index];
    (returns ? done.returned_at : done.begun_at) = marks_.size();
    marks_.push_back({LogSizes(), regions_.front()->sequence(), index, returns});
  }
  std::vector<size_t> LogSizes() const {
    std::vector<size_t> sizes;
    for (const ImageRegion* region : regions_) sizes.push_back(region->log_size());
    return sizes;
  }

  const std::vector<ImageRegion*>& regions_;
  const Workload& workload_;
  InterleavedRun& run_;
  MountedImage& mounted_;
  Executor executor_;
  std::vector<int64_t> seconds_;  // by client: time of what it does
  std::vector<Mark> marks_;
  std::vector<std::thread::id> threads_;  // by index in run_.operations
  std::vector<bool> waited_;              // likewise
  std::vector<size_t> ended_;             // by copy: events of the log that belong to operations
  bool unmounted_ = false;
  Interleaver interleaver_;  // last: its threads use the others
};

std::vector<CrashPoint> Runner::MakePoints(size_t copy, std::vector<RegionEvent>& log,
                                           const std::vector<size_t>& posts) const {
  std::vector<CrashPoint> points;
  Moment now;
  const auto add = [&](size_t events, uint64_t sequence) {
    points.push_back({.events = events, .moment = now, .sequence = sequence});
  };
  if (!marks_.empty()) add(marks_.front().events[copy], marks_.front().sequence);
  size_t event = marks_.empty() ? ended_[copy] : marks_.front().events[copy];
  const auto add_until = [&](size_t end) {
    for (; event < end; ++event) {
      if (log[event].kind == RegionEvent::Kind::kDrain || std::ranges::binary_search(posts, event))
        add(event, log[event].sequence - 1);
    }
  };
  for (const Mark& mark : marks_) {
    add_until(mark.events[copy]);
    if (mark.returns) {
      now.open &= ~(uint64_t{1} << mark.index);
      add(mark.events[copy], mark.sequence);
    } else {
      now.begun = now.returned = static_cast<uint32_t>(mark.index) + 1;
      now.open |= uint64_t{1} << mark.index;
    }
  }
  add_until(ended_[copy]);
  log.resize(ended_[copy]);
  return points;
}

void Runner::CountSharedCommits() {
  for (size_t index = 0; index < run_.operations.size(); ++index) {
    const InterleavedRun::Done& done = run_.operations[index];
    if (!IsSync(done.operation) || done.answer || !waited_[index]) continue;
    bool own = false;
    bool other = false;
    for (size_t at = marks_[done.begun_at].events[0]; at < marks_[done.returned_at].events[0];
         ++at) {
      if (run_.log[at].kind != RegionEvent::Kind::kDrain) continue;
      (run_.log[at].thread == threads_[index] ? own : other) = true;
    }
    if (other && !own) ++run_.shared_commits;
  }
}

}  // namespace

Status CheckClients(const Workload& workload) {
  const std::vector<Operation>& all = workload.operations;
  if (all.size() > kMostOperations) {
    return Fail(ErrorCode::kInvalid, "with clients, at most {} operations", kMostOperations);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].client == 0) continue;
    if (all[i].kind == OpKind::kUnmount) {
      return Fail(ErrorCode::kInvalid, "unmount is no client's");
    }
    const size_t end = EndOfSection(all, i);
    for (size_t j = i + 1; j < end; ++j) {
      if (all[j].client == all[i].client) continue;
      MIRDAX_TRY(CheckPair(all[i], all[j]));
      MIRDAX_TRY(CheckPair(all[j], all[i]));
    }
  }
  return {};
}

namespace {

// `replicas`: null, where the pool has no mirrors. `regions`: of all copies, the primary's first.
Status RecordOn(ShapedPool& pool, const std::vector<ImageRegion*>& regions, ReplicaSet* replicas,
                const Workload& workload, InterleavedRun& run) {
  ReplicaSet::Replication* replication = nullptr;
  const auto connect = [&](MountedImage& image) -> Result<std::unique_ptr<ReplicationSink>> {
    MIRDAX_ASSIGN(auto connected, replicas->Connect(image));
    replication = connected.get();
    return std::unique_ptr<ReplicationSink>(std::move(connected));
  };
  if (replicas != nullptr) MIRDAX_TRY(replicas->Serve());
  MIRDAX_ASSIGN(const auto mounted,
                pool.Mount(&run.start, replicas != nullptr ? connect : ShapedPool::Connect()));
  Runner runner(regions, workload, run, *mounted);
  MIRDAX_TRY(runner.Run([&] { return replicas != nullptr ? replicas->ApplyAll() : Status(); }));
  run.log = regions[0]->TakeLog();
  runner.CountSharedCommits();
  run.points = runner.MakePoints(0, run.log, {});
  for (size_t i = 1; i < regions.size(); ++i) {
    if (const std::string why = replication->WhyOut(i - 1); !why.empty())
      return Fail(ErrorCode::kCorrupt, "mirror {} left the in-sync list: {}", i - 1, why);
    InterleavedRun::Mirror& mirror = run.mirrors.emplace_back();
    mirror.log = regions[i]->TakeLog();
    mirror.points = runner.MakePoints(i, mirror.log, replicas->TakePosts(i - 1));
  }
  if (replicas != nullptr) {
    const PrivateBlock block = mounted->private_store().Get();
    for (const EpochEntry& entry : HistoryOf(block)) run.epochs.push_back(entry.epoch);
  }
  return {};
}

Result<InterleavedRun> RecordCopies(ShapedPool& pool, const std::vector<ImageRegion*>& regions,
                                    ReplicaSet* replicas, const Workload& workload) {
  MIRDAX_TRY(CheckClients(workload));
  InterleavedRun run;
  run.scarce = pool.shape().scarce();
  run.sync_always = pool.shape().sync_always;
  uint64_t events = 0;
  for (ImageRegion* region : regions) {
    region->Begin();
    region->StartLog(&events);
  }
  const Status recorded = RecordOn(pool, regions, replicas, workload, run);
  for (ImageRegion* region : regions) {
    region->TakeLog();
    region->Undo();
  }
  if (!recorded) return Fail(recorded.error());
  return run;
}

}  // namespace

Result<InterleavedRun> RecordClients(ShapedPool& pool, const Workload& workload) {
  return RecordCopies(pool, {&pool.region()}, nullptr, workload);
}

Result<InterleavedRun> RecordClients(MirroredPool& set, const Workload& workload,
                                     const ReplicaOptions& options) {
  std::vector<ImageRegion*> regions = {&set.primary().region()};
  for (const auto& mirror : set.mirrors()) regions.push_back(mirror.get());
  ReplicaSet replicas(set.mirrors(), options);
  return RecordCopies(set.primary(), regions, &replicas, workload);
}

}  // namespace mirdax::crash
