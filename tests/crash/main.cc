// SPDX-License-Identifier: BSD-2-Clause
// crash_explorer: see docs/TESTING.md, "Crash states".
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "tests/crash/client_generator.h"
#include "tests/crash/current_case.h"
#include "tests/crash/explorer.h"
#include "tests/crash/generator.h"
#include "tests/crash/repeat.h"
#include "tests/crash/set_explorer.h"
#include "tests/crash/tasks.h"

namespace mirdax::crash {
namespace {

struct Arguments {
  std::vector<std::string> run;
  unsigned systematic = 0;
  uint64_t sample = 0;
  unsigned ops = 3;
  std::string shape = "plain";
  std::string mirror;
  std::string copy;
  std::optional<Scenario> scenario = {};  // what `mirror` says
  std::string save;
  unsigned jobs = 1;
  uint64_t images = 0;
  uint64_t at_least = 0;
  std::optional<double> within;  // seconds of CPU time of each thread
  unsigned clients = 1;
  uint64_t schedules = 1;
  std::optional<uint64_t> schedule;
  uint64_t shared_at_least = 0;
  uint64_t most_failures = 20;
  double deadline = 30;  // seconds
  bool list = false;
  ExploreOptions explore;
};

std::chrono::milliseconds Milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// Those with clients, with so many schedules each.
Status AddFiles(const std::string& name, const Arguments& arguments, std::vector<Task>& tasks) {
  std::vector<Task> read;
  MIRDAX_TRY(ReadTasks(name, read));
  for (Task& task : read) {
    Workload& workload = task.generated.workload;
    if (arguments.schedule) workload.schedule = *arguments.schedule;
    const uint64_t schedules = workload.clients() == 0 ? 1 : arguments.schedules;
    for (uint64_t i = 0; i < schedules; ++i, ++workload.schedule) tasks.push_back(task);
  }
  return {};
}

std::vector<GeneratedWorkload> Generate(const Arguments& arguments, const std::string& shape) {
  const uint64_t seed = arguments.explore.seed;
  std::vector<GeneratedWorkload> generated;
  if (arguments.systematic != 0 && arguments.clients == 1) {
    generated = Systematic(shape, arguments.systematic);
  } else if (arguments.systematic != 0) {
    generated = ClientPairs(shape, arguments.schedules, seed);
  }
  if (arguments.sample != 0) {
    std::vector<GeneratedWorkload> sample =
        arguments.clients == 1
            ? Sample(shape, arguments.ops, arguments.sample, seed)
            : SampleClients(shape, arguments.clients, arguments.ops, arguments.sample, seed);
    std::ranges::move(sample, std::back_inserter(generated));
  }
  return generated;
}

Result<std::vector<Task>> TasksOf(const Arguments& arguments) {
  std::vector<Task> tasks;
  for (const std::string& name : arguments.run) {
    MIRDAX_TRY(AddFiles(name, arguments, tasks));
  }
  if (arguments.systematic != 0 || arguments.sample != 0) MIRDAX_TRY(CheckAsked(arguments.shape));
  for (const Shape& shape : Shapes()) {
    if (!Asked(arguments.shape, shape)) continue;
    for (auto& each : Generate(arguments, shape.name)) tasks.push_back({std::move(each), {}});
  }
  if (arguments.scenario && MirrorsOf(*arguments.scenario) != 1) {  // they meet one operation
    std::erase_if(tasks, [](const Task& each) { return each.generated.workload.clients() != 0; });
  }
  return tasks;
}

// Takes tasks until there are none, or enough went wrong.
class Work {
 public:
  Work(const Arguments& arguments, const std::vector<Task>& tasks)
      : arguments_(arguments), tasks_(tasks), watch_(Milliseconds(arguments.deadline)) {}

  void Run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < arguments_.jobs; ++i) threads.emplace_back([this] { Loop(); });
    for (std::thread& thread : threads) thread.join();
  }
  uint64_t failures() const { return failures_.load(); }
  const ExploreStats& stats() const { return stats_; }
  const DistinctImages& distinct() const { return distinct_; }

 private:
  struct Pools {  // of one thread, by shape
    std::map<std::string, std::unique_ptr<ShapedPool>> alone;
    std::map<std::string, std::unique_ptr<MirroredPool>> mirrored;
  };

  void Loop() {
    const HangWatch::Watched watched(watch_);
    Pools pools;
    ExploreStats stats;
    for (;;) {
      const size_t next = next_.fetch_add(1);
      if (next >= tasks_.size() || failures_.load() >= arguments_.most_failures) break;
      const Result<bool> sound = Explore(tasks_[next], pools, stats);
      if (!sound) fmt::print(stderr, "crash_explorer: {}\n", sound.error().message);
      if (!sound || !*sound) ++failures_;
      if (!sound) break;
    }
    MutexLock lock(mutex_);
    stats_ += stats;
  }

  Result<bool> Explore(const Task& task, Pools& pools, ExploreStats& stats) {
    const Workload& workload = task.generated.workload;
    ExploreOptions options = arguments_.explore;
    if (!options.point) options.first_operation = task.generated.first_operation;
    if (arguments_.images != 0) options.images_per_workload = arguments_.images / tasks_.size();
    const auto report = [&](const Failure& failure, std::span<const std::byte> image) {
      Report(failure, task.file, image);
    };
    const CurrentCase current([&](const CurrentImage* image) { SayWhatDied(task, image); },
                              CurrentCase::Deadline::kForEachImage);
    const Shape& shape = *FindShape(workload.shape);
    if (!arguments_.scenario) {
      std::unique_ptr<ShapedPool>& pool = pools.alone[workload.shape];
      if (!pool) {
        MIRDAX_ASSIGN(pool, ShapedPool::Build(shape));
      }
      return !Explorer(*pool, distinct_, stats, report).Explore(workload, options);
    }
    std::unique_ptr<MirroredPool>& set = pools.mirrored[workload.shape];
    if (!set) {
      MIRDAX_ASSIGN(set, MirroredPool::Build(shape, MirrorsOf(*arguments_.scenario)));
    }
    SetExplorer explorer(*set, *arguments_.scenario, distinct_, stats, report);
    return !explorer.Explore(workload, options);
  }

  // Takes no lock: others go on while the process ends.
  void SayWhatDied(const Task& task, const CurrentImage* image) const {
    const std::string text = PrintWorkload(task.generated.workload);
    Failure failure{.workload = task.generated.workload, .moment = {}, .reason = {}};
    if (image != nullptr) {
      failure.point = image->point;
      failure.subset = image->subset;
      failure.copy = image->copy;
      failure.depth = image->depth;
      fmt::print(stderr, "at copy {}, point {}, subset {} of\n{}", CopyName(image->copy),
                 image->point, image->subset, text);
    } else {
      fmt::print(stderr, "in the run of\n{}", text);
    }
    std::string file = task.file.empty() ? "FILE-WITH-THESE-LINES" : task.file;
    if (!arguments_.save.empty()) {
      std::filesystem::create_directories(arguments_.save);
      file = arguments_.save + "/died.txt";
      std::ofstream(file) << text;
    }
    fmt::print(stderr, "repeat: {}\n",
               RepeatCommand(file, arguments_.explore, failure, arguments_.scenario));
  }

  void Report(const Failure& failure, std::string file, std::span<const std::byte> image) {
    MutexLock lock(mutex_);
    fmt::print(
        "VIOLATION: {}\nafter {} operations had begun and {} returned; point {}, subset {}{}\n",
        failure.reason, failure.moment.begun,
        failure.moment.returned - static_cast<uint32_t>(std::popcount(failure.moment.open)),
        failure.point, failure.subset,
        arguments_.scenario ? fmt::format(" of copy {}", CopyName(failure.copy)) : "");
    const std::string text = PrintWorkload(failure.workload);
    fmt::print("{}", text);
    if (!arguments_.save.empty()) {
      std::filesystem::create_directories(arguments_.save);
      const std::string base = fmt::format("{}/failure-{}", arguments_.save, ++saved_);
      file = base + ".txt";
      std::ofstream(file) << text;
      std::ofstream(base + ".img", std::ios::binary)
          .write(reinterpret_cast<const char*>(image.data()),
                 static_cast<std::streamsize>(image.size()));
      fmt::print("image: {}.img\n", base);
    }
    if (file.empty()) file = "FILE-WITH-THESE-LINES";
    fmt::print("repeat: {}\n\n",
               RepeatCommand(file, arguments_.explore, failure, arguments_.scenario));
    std::fflush(stdout);
  }

  const Arguments& arguments_;
  const std::vector<Task>& tasks_;
  HangWatch watch_;
  DistinctImages distinct_;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> failures_{0};
  Mutex mutex_;
  uint64_t saved_ MIRDAX_GUARDED_BY(mutex_) = 0;
  ExploreStats stats_;  // complete when Run() has returned
};

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void PrintReport(const Work& work, double seconds) {
  const ExploreStats& stats = work.stats();
  const CheckStats& check = stats.check;
  const uint64_t all = check.images + check.recovery_images;
  fmt::print(
      "{} workloads, {} crash points, {} distinct images of primaries, {} of mirrors, {} checks, "
      "{} checks of crashes during recovery, {} violations\n",
      stats.workloads, stats.points, work.distinct().count(DistinctImages::Of::kPrimaries),
      work.distinct().count(DistinctImages::Of::kMirrors), check.images, check.recovery_images,
      work.failures());
  fmt::print("every subset of what was in flight at {} of the crash points\n", stats.exhausted);
  if (check.promote_ns != 0)
    fmt::print(
        "{} power cuts of whole sets; {} images of mirrors said that they were being filled, and "
        "were refused (they do not count)\n",
        stats.set_cuts, check.refused);
  if (work.distinct().interleavings() != 0) {
    fmt::print("{} distinct interleavings of clients, {} syncs shared another's commit\n",
               work.distinct().interleavings(), stats.shared_commits);
  }
  const double cpu = CpuSeconds();
  fmt::print("{:.1f} s, {:.0f} images/s; {:.1f} s of CPU, {:.0f} images a CPU second\n", seconds,
             static_cast<double>(all) / seconds, cpu, static_cast<double>(all) / cpu);
  const uint64_t total = stats.record_ns + stats.replay_ns + check.promote_ns + check.recover_ns +
                         check.again_ns + check.fsck_ns + check.mount_ns + check.read_ns +
                         check.judge_ns + check.unmount_ns + stats.set_ns;
  const auto share = [&](std::string_view what, uint64_t ns) {
    fmt::print("  {:<22} {:5.1f} %\n", what,
               100.0 * static_cast<double>(ns) / static_cast<double>(std::max<uint64_t>(total, 1)));
  };
  share("running workloads", stats.record_ns);
  share("log replay, images", stats.replay_ns);
  share("promotion", check.promote_ns);
  share("recovery", check.recover_ns);
  share("recovery again", check.again_ns);
  share("fsck", check.fsck_ns);
  share("mount", check.mount_ns);
  share("reading everything", check.read_ns);
  share("comparing", check.judge_ns);
  share("unmount, fsck again", check.unmount_ns);
  share("whole sets", stats.set_ns);
}

int Main(const Arguments& arguments) {
  const Result<std::vector<Task>> tasks = TasksOf(arguments);
  if (!tasks) {
    fmt::print(stderr, "crash_explorer: {}\n", tasks.error().message);
    return 2;
  }
  if (tasks->empty()) {
    fmt::print(stderr, "crash_explorer: nothing to do; see --help\n");
    return 2;
  }
  if (arguments.list) {
    for (const Task& task : *tasks) fmt::print("{}\n", PrintWorkload(task.generated.workload));
    return 0;
  }
  CurrentCase::ReportOnAbort();
  const auto begun = std::chrono::steady_clock::now();
  Work work(arguments, *tasks);
  work.Run();
  PrintReport(work,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  if (work.failures() != 0) return 1;
  const auto counted =
      arguments.scenario ? DistinctImages::Of::kMirrors : DistinctImages::Of::kPrimaries;
  if (work.distinct().count(counted) < arguments.at_least) {
    fmt::print("fewer than {} distinct images\n", arguments.at_least);
    return 1;
  }
  // Other load on the machine makes the clock on the wall a poor judge.
  const double each = CpuSeconds() / arguments.jobs;
  if (arguments.within && each > *arguments.within) {
    fmt::print("{:.0f} s of CPU time of each thread, more than {:.0f}\n", each, *arguments.within);
    return 1;
  }
  if (work.stats().shared_commits < arguments.shared_at_least) {
    fmt::print("fewer than {} shared commits\n", arguments.shared_at_least);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace mirdax::crash

int main(int argc, char** argv) {
  mirdax::crash::Arguments arguments;
  mirdax::crash::ExploreOptions& explore = arguments.explore;
  CLI::App app("Visits the states that a power cut can leave, and checks each.", "crash_explorer");
  app.add_option("--run", arguments.run, "workload files, or folders of them (*.txt)");
  app.add_option("--systematic", arguments.systematic, "all sequences of 1 or 2 operations")
      ->check(CLI::Range(1, 2));
  app.add_option("--sample", arguments.sample, "so many random sequences");
  app.add_option("--ops", arguments.ops, "... of so many operations (3)")->check(CLI::Range(1, 50));
  app.add_option(
         "--clients", arguments.clients,
         "so many at once: all pairs (--systematic 1 --clients 2), or samples of up to --ops "
         "operations each")
      ->check(CLI::Range(1U, mirdax::crash::kMostClients));
  app.add_option("--schedules", arguments.schedules,
                 "turns of clients: so many seeds for each pair and file (1)");
  app.add_option("--schedule", arguments.schedule, "this seed, whatever the files say");
  app.add_option("--shared-at-least", arguments.shared_at_least,
                 "fail when fewer syncs shared another's commit");
  app.add_option("--shape", arguments.shape, "volume for generated workloads, or all (plain)");
  app.add_option(
      "--mirror", arguments.mirror,
      "crash images of a primary with mirrors, and of these; while what happens to the set: "
      "steady, lazy, lost, back, returns, fenced");
  app.add_option("--seed", explore.seed, "of samples and subsets (1)");
  app.add_option("--images", arguments.images, "about so many images in all");
  app.add_option("--at-least", arguments.at_least,
                 "fail when there are fewer distinct images; of mirrors, where there are any");
  app.add_option("--within", arguments.within,
                 "fail when it takes more seconds, of CPU time of each of --jobs");
  app.add_option("--per-point", explore.images_per_point, "at most so many images a point (64)");
  app.add_option("--recovery-every", explore.recovery_every,
                 "crash again during the recovery of every n-th image (16; 0: never)");
  app.add_option("--recovery-subsets", explore.recovery_subsets, "... with so many subsets (4)");
  app.add_option("--unmount-every", explore.unmount_every,
                 "unmount every n-th image and check again (4; 0: never)");
  app.add_option("--serve-every", explore.serve_every,
                 "a mirror's daemon serves every n-th image first (3; 0: never)");
  app.add_option("--set-every", explore.set_every,
                 "all copies of a set lose power at every n-th crash point (8; 0: never)");
  app.add_option("--point", explore.point, "only this crash point");
  app.add_option("--subset", explore.subset, "only this subset");
  app.add_option("--copy", arguments.copy,
                 "only this copy of a set: a mirror's number, primary, or all (at once)");
  app.add_option("--save", arguments.save, "folder for workloads and images that fail");
  app.add_option("--jobs", arguments.jobs, "threads (1)")->check(CLI::Range(1, 64));
  app.add_option(
      "--deadline", arguments.deadline,
      "seconds for one run or image, or it hangs: the process ends, and says which (30)");
  app.add_option("--failures", arguments.most_failures, "stop after so many (20)");
  app.add_flag("--list", arguments.list, "only print the workloads");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.mirror.empty()) {
    arguments.scenario = mirdax::crash::FindScenario(arguments.mirror);
    if (!arguments.scenario) {
      fmt::print(stderr, "crash_explorer: no scenario '{}'; see --help\n", arguments.mirror);
      return 2;
    }
  }
  if (!arguments.copy.empty()) {
    explore.copy = mirdax::crash::FindCopy(arguments.copy);
    if (!explore.copy) {
      fmt::print(stderr, "crash_explorer: no copy '{}'; see --help\n", arguments.copy);
      return 2;
    }
  }
  spdlog::set_level(spdlog::level::off);  // mirrors that are lost on purpose
  return mirdax::crash::Main(arguments);
}
