// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/interleaved_run.h"

#include <algorithm>
#include <span>

#include "tests/crash/current_case.h"
#include "tests/crash/interleaver.h"

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
  Runner(ShapedPool& pool, const Workload& workload, InterleavedRun& run, MountedImage& mounted)
      : region_(pool.region()),
        workload_(workload),
        run_(run),
        mounted_(mounted),
        executor_(mounted.volume()),
        seconds_(workload.clients() + 1),
        interleaver_(workload.clients(), workload.schedule,
                     [this](unsigned client) { mounted_.clock().Set(seconds_[client + 1]); }) {
    run_.operations.reserve(workload.operations.size());
  }

  Status Run() {
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
    ended_ = region_.log_size();
    executor_.CloseAll();
    if (unmounted_) return {};
    MIRDAX_ASSIGN(run_.end, Observe(mounted_.volume()));
    return {};
  }

  // REQUIRES: run.log was taken from the region.
  void MakePoints();
  void CountSharedCommits();

 private:
  struct Mark {  // an operation begins or returns
    size_t events;
    size_t index;  // in run_.operations
    bool returns;
  };

  void RunSection(std::span<const Operation> operations) {
    std::vector<std::function<void()>> bodies(workload_.clients());
    for (unsigned client = 1; client <= bodies.size(); ++client) {
      bodies[client - 1] = [this, operations, client] {
        SetCurrentCase(&workload_, 0, 0);
        for (const Operation& operation : operations) {
          if (operation.client == client) Do(operation);
        }
        SetCurrentCase(nullptr, 0, 0);
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
    marks_.push_back({region_.log_size(), index, returns});
  }

  ImageRegion& region_;
  const Workload& workload_;
  InterleavedRun& run_;
  MountedImage& mounted_;
  Executor executor_;
  std::vector<int64_t> seconds_;  // by client: time of what it does
  std::vector<Mark> marks_;
  std::vector<std::thread::id> threads_;  // by index in run_.operations
  std::vector<bool> waited_;              // likewise
  size_t ended_ = 0;                      // events of the log that belong to operations
  bool unmounted_ = false;
  Interleaver interleaver_;  // last: its threads use the others
};

void Runner::MakePoints() {
  Moment now;
  if (!marks_.empty()) run_.points.push_back({marks_.front().events, now});
  size_t event = marks_.empty() ? ended_ : marks_.front().events;
  const auto drains_until = [&](size_t end) {
    for (; event < end; ++event) {
      if (run_.log[event].kind == RegionEvent::Kind::kDrain) run_.points.push_back({event, now});
    }
  };
  for (const Mark& mark : marks_) {
    drains_until(mark.events);
    if (mark.returns) {
      now.open &= ~(uint64_t{1} << mark.index);
      run_.points.push_back({mark.events, now});
    } else {
      now.begun = now.returned = static_cast<uint32_t>(mark.index) + 1;
      now.open |= uint64_t{1} << mark.index;
    }
  }
  run_.log.resize(ended_);
}

void Runner::CountSharedCommits() {
  for (size_t index = 0; index < run_.operations.size(); ++index) {
    const InterleavedRun::Done& done = run_.operations[index];
    if (!IsSync(done.operation) || done.answer || !waited_[index]) continue;
    bool own = false;
    bool other = false;
    for (size_t at = marks_[done.begun_at].events; at < marks_[done.returned_at].events; ++at) {
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

Result<InterleavedRun> RecordClients(ShapedPool& pool, const Workload& workload) {
  MIRDAX_TRY(CheckClients(workload));
  ImageRegion& region = pool.region();
  InterleavedRun run;
  run.scarce = pool.shape().scarce();
  run.sync_always = pool.shape().sync_always;
  region.Begin();
  region.StartLog();
  const auto record = [&]() -> Status {
    MIRDAX_ASSIGN(const auto mounted, pool.Mount(&run.start));
    Runner runner(pool, workload, run, *mounted);
    MIRDAX_TRY(runner.Run());
    run.log = region.TakeLog();
    runner.CountSharedCommits();
    runner.MakePoints();
    return {};
  };
  const Status recorded = record();
  region.TakeLog();
  region.Undo();
  if (!recorded) return Fail(recorded.error());
  return run;
}

}  // namespace mirdax::crash
