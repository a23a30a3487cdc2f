// SPDX-License-Identifier: BSD-2-Clause
// fault_loops: see docs/TESTING.md, "Fault loops".
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "tests/crash/current_case.h"
#include "tests/crash/fault_run.h"
#include "tests/crash/tasks.h"

namespace mirdax::crash {
namespace {

struct Arguments {
  std::vector<std::string> run;
  unsigned systematic = 0;
  std::string shape = "plain";
  std::vector<FaultKind> kinds;
  uint64_t at = 0;
  bool lasting = false;
  uint64_t every = 1;
  size_t mirrors = 0;
  bool returns = false;
  std::string save;
  unsigned jobs = 1;
  uint64_t at_least = 0;
  uint64_t most_failures = 20;
  double deadline = 30;  // seconds
};

struct FaultStats {
  uint64_t runs = 0;
  uint64_t failed = 0;   // an operation failed of the fault
  uint64_t stopped = 0;  // the filesystem stopped
};
using StatsByKind = std::array<FaultStats, std::size(kFaultKinds)>;

Result<std::vector<Task>> TasksOf(const Arguments& arguments) {
  std::vector<Task> tasks;
  for (const std::string& name : arguments.run) MIRDAX_TRY(ReadTasks(name, tasks));
  if (arguments.systematic == 0) return tasks;
  MIRDAX_TRY(CheckAsked(arguments.shape));
  for (const Shape& shape : Shapes()) {
    if (!Asked(arguments.shape, shape)) continue;
    for (auto& each : Systematic(shape.name, arguments.systematic))
      tasks.push_back({std::move(each), {}});
  }
  return tasks;
}

// Takes workloads until there are none, or enough went wrong.
class Work {
 public:
  Work(const Arguments& arguments, const std::vector<Task>& tasks)
      : arguments_(arguments),
        tasks_(tasks),
        watch_(std::chrono::milliseconds(static_cast<int64_t>(arguments.deadline * 1000))) {}

  void Run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < arguments_.jobs; ++i) threads.emplace_back([this] { Loop(); });
    for (std::thread& thread : threads) thread.join();
  }
  uint64_t failures() const { return failures_.load(); }
  const StatsByKind& stats() const { return stats_; }
  uint64_t runs() const {
    uint64_t sum = 0;
    for (const FaultStats& stats : stats_) sum += stats.runs;
    return sum;
  }
  uint64_t images() const { return images_; }

 private:
  // A volume, and its mirrors where there are some.
  struct Volumes {
    std::unique_ptr<ShapedPool> alone;
    std::unique_ptr<MirroredPool> set;

    Status Build(const Shape& shape, size_t mirrors) {
      if (mirrors != 0) {
        MIRDAX_ASSIGN(set, MirroredPool::Build(shape, mirrors));
      } else {
        MIRDAX_ASSIGN(alone, ShapedPool::Build(shape));
      }
      return {};
    }
    bool built() const { return alone != nullptr || set != nullptr; }
    FaultRun Run(ExploreStats& stats, bool returns) {
      return set != nullptr ? FaultRun(*set, stats, returns) : FaultRun(*alone, stats);
    }
  };

  void Loop() {
    const HangWatch::Watched watched(watch_);
    std::map<std::string, Volumes> volumes;
    ExploreStats explored;
    StatsByKind stats{};
    for (;;) {
      const size_t next = next_.fetch_add(1);
      if (next >= tasks_.size() || failures_.load() >= arguments_.most_failures) break;
      const Task& task = tasks_[next];
      const std::string& shape = task.generated.workload.shape;
      Volumes& mine = volumes[shape];
      if (!mine.built()) {
        if (const Status built = mine.Build(*FindShape(shape), arguments_.mirrors); !built) {
          Report(task, {}, {.violation = built.error().message});
          break;
        }
      }
      FaultRun run = mine.Run(explored, arguments_.returns);
      for (const FaultKind kind : arguments_.kinds)
        LoopOver(run, task, next, kind, stats[static_cast<size_t>(kind)]);
    }
    MutexLock lock(mutex_);
    for (size_t i = 0; i < stats.size(); ++i) {
      stats_[i].runs += stats[i].runs;
      stats_[i].failed += stats[i].failed;
      stats_[i].stopped += stats[i].stopped;
    }
    images_ += explored.check.images;
  }

  // The fault strikes at the first chance, at the second, and so on until it strikes no more.
  void LoopOver(FaultRun& run, const Task& task, size_t number, FaultKind kind, FaultStats& stats) {
    const Workload& workload = task.generated.workload;
    if (arguments_.at != 0) {
      Once(run, task, {kind, arguments_.at, arguments_.lasting}, stats);
      return;
    }
    const Result<std::vector<uint64_t>> chances = [&] {
      const CurrentCase current = At(task, {kind, 0, false});
      return run.CountChances(workload, kind);
    }();
    if (!chances) {
      Report(task, {kind, 0, false}, {.violation = chances.error().message});
      return;
    }
    // Those of earlier operations are another workload's.
    const uint32_t first = task.generated.first_operation;
    const uint64_t before = first < 2 ? 0 : (*chances)[first - 2];
    for (const bool lasting : {false, true}) {
      for (uint64_t at = before + 1;; ++at) {
        if (failures_.load() >= arguments_.most_failures) return;
        const bool last = at > chances->back();
        if (!last && (at + number) % arguments_.every != 0) continue;
        const bool struck = Once(run, task, {kind, at, lasting}, stats);
        if (struck == last)
          Report(task, {kind, at, lasting}, {.violation = "its chances were counted wrong"});
        if (last) break;
      }
    }
  }

  bool Once(FaultRun& run, const Task& task, const FaultPlan& plan, FaultStats& stats) {
    const CurrentCase current = At(task, plan);
    const FaultOutcome outcome = run.Run(task.generated.workload, plan);
    if (outcome.strikes != 0) {
      ++stats.runs;
      stats.failed += outcome.failed ? 1 : 0;
      stats.stopped += outcome.stopped ? 1 : 0;
    }
    if (!outcome.violation.empty()) Report(task, plan, outcome);
    return outcome.strikes != 0;
  }

  // While what is returned lives. `task` outlives it.
  CurrentCase At(const Task& task, const FaultPlan& plan) const {
    const auto died = [this, &task, plan](const CurrentImage*) {
      Task copy = task;
      const std::string text = PrintWorkload(task.generated.workload);
      if (!arguments_.save.empty()) {
        std::filesystem::create_directories(arguments_.save);
        copy.file = arguments_.save + "/died.txt";
        std::ofstream(copy.file) << text;
      }
      fmt::print(stderr, "with fault {} of\n{}repeat: {}\n", PrintFault(plan), text,
                 Command(copy, plan));
    };
    return {died, CurrentCase::Deadline::kForAll};
  }

  std::string Command(const Task& task, const FaultPlan& plan) const {
    const std::string mirrors = arguments_.mirrors == 0
                                    ? ""
                                    : fmt::format(" --mirrors {}{}", arguments_.mirrors,
                                                  arguments_.returns ? " --returns" : "");
    return fmt::format("fault_loops --run {}{} --fault {} --at {}{}",
                       task.file.empty() ? "FILE-WITH-THESE-LINES" : task.file, mirrors,
                       FaultName(plan.kind), plan.at, plan.lasting ? " --lasting" : "");
  }

  void Report(Task task, const FaultPlan& plan, const FaultOutcome& outcome) {
    ++failures_;
    MutexLock lock(mutex_);
    const std::string text = PrintWorkload(task.generated.workload);
    if (!arguments_.save.empty()) {
      std::filesystem::create_directories(arguments_.save);
      const std::string base = fmt::format("{}/failure-{}", arguments_.save, ++saved_);
      task.file = base + ".txt";
      std::ofstream(task.file) << text;
      if (!outcome.image.empty()) {
        std::ofstream(base + ".img", std::ios::binary)
            .write(reinterpret_cast<const char*>(outcome.image.data()),
                   static_cast<std::streamsize>(outcome.image.size()));
        fmt::print("image: {}.img\n", base);
      }
    }
    fmt::print("VIOLATION: {}\nfault {} of\n{}repeat: {}\n\n", outcome.violation, PrintFault(plan),
               text, Command(task, plan));
    std::fflush(stdout);
  }

  const Arguments& arguments_;
  const std::vector<Task>& tasks_;
  HangWatch watch_;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> failures_{0};
  Mutex mutex_;
  uint64_t saved_ MIRDAX_GUARDED_BY(mutex_) = 0;
  StatsByKind stats_{};  // complete when Run() has returned
  uint64_t images_ = 0;
};

int Main(const Arguments& arguments) {
  const Result<std::vector<Task>> tasks = TasksOf(arguments);
  if (!tasks || tasks->empty()) {
    fmt::print(stderr, "fault_loops: {}\n",
               tasks ? "nothing to do; see --help" : tasks.error().message);
    return 2;
  }
  spdlog::set_level(spdlog::level::off);  // the product's log is full of what is wanted here
  CurrentCase::ReportOnAbort();
  const auto begun = std::chrono::steady_clock::now();
  Work work(arguments, *tasks);
  work.Run();
  for (const FaultKind kind : kFaultKinds) {
    const FaultStats& stats = work.stats()[static_cast<size_t>(kind)];
    if (stats.runs == 0) continue;
    fmt::print("{:<12} {:>8} faults: {:>8} made an operation fail, {:>6} stopped the filesystem\n",
               FaultName(kind), stats.runs, stats.failed, stats.stopped);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fmt::print(
      "{} workloads, {} fault instances, {} images of power cuts, {} violations; {:.1f} s, "
      "{:.0f} instances/s\n",
      tasks->size(), work.runs(), work.images(), work.failures(), seconds,
      static_cast<double>(work.runs()) / seconds);
  if (work.failures() != 0) return 1;
  if (work.runs() < arguments.at_least) {
    fmt::print("fewer than {} fault instances\n", arguments.at_least);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace mirdax::crash

int main(int argc, char** argv) {
  using mirdax::crash::FaultKind;
  mirdax::crash::Arguments arguments;
  std::vector<std::string> names;
  CLI::App app("Makes each allocation, request for space, drain and page of the pool fail in turn.",
               "fault_loops");
  app.add_option("--run", arguments.run, "workload files, or folders of them (*.txt)");
  app.add_option("--systematic", arguments.systematic, "all sequences of 1 or 2 operations")
      ->check(CLI::Range(1, 2));
  app.add_option("--shape", arguments.shape, "volume for generated workloads, or all (plain)");
  app.add_option("--mirrors", arguments.mirrors, "with so many mirrors (0)")
      ->check(CLI::Range(0, 4));
  app.add_flag("--returns", arguments.returns,
               "the last mirror is lost at the begin, and comes back");
  app.add_option("--fault", names,
                 "only these: memory, space, drain, poison; with mirrors also push, answer, cut, "
                 "request, hang-up, refusal, mirror-drain, mirror-poison, mirror-memory");
  app.add_option("--at", arguments.at, "only at this chance");
  app.add_flag("--lasting", arguments.lasting, "... and from then on");
  app.add_option("--every", arguments.every, "only every n-th instance (1)")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--at-least", arguments.at_least, "fail when there are fewer instances");
  app.add_option("--save", arguments.save, "folder for workloads that fail, and their pools");
  app.add_option("--jobs", arguments.jobs, "threads (1)")->check(CLI::Range(1, 64));
  app.add_option("--deadline", arguments.deadline,
                 "seconds for one fault, or it hangs: the process ends, and says which (30)");
  app.add_option("--failures", arguments.most_failures, "stop after so many (20)");
  CLI11_PARSE(app, argc, argv);
  if (arguments.returns && arguments.mirrors == 0) {
    fmt::print(stderr,
               "fault_loops: --returns is about mirrors: say how many, as in --mirrors 2\n");
    return 2;
  }
  for (const std::string& name : names) {
    const auto kind = mirdax::crash::FindFault(name);
    if (!kind) {
      fmt::print(stderr, "fault_loops: no fault '{}'\n", name);
      return 2;
    }
    arguments.kinds.push_back(*kind);
  }
  for (const FaultKind kind : mirdax::crash::kFaultKinds) {
    const bool possible = arguments.mirrors != 0 || !mirdax::crash::IsOfMirrors(kind);
    if (names.empty() && possible) arguments.kinds.push_back(kind);
  }
  return mirdax::crash::Main(arguments);
}
