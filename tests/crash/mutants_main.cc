// SPDX-License-Identifier: BSD-2-Clause
// crash_mutants: switches on each deliberate defect in turn and says which workload shows it. A
// defect that none shows is a hole in the checks, and makes the command fail.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "fs/base/mutant.h"
#include "tests/crash/client_generator.h"
#include "tests/crash/explorer.h"
#include "tests/crash/fault_run.h"
#include "tests/crash/generator.h"

namespace mirdax::crash {
namespace {

struct MutantInfo {
  Mutant mutant;
  std::string_view name;
  std::string_view rule;
  std::string_view what;
  bool of_clients;  // only operations at work at once show it
};

constexpr MutantInfo kMutants[] = {
#define MIRDAX_MUTANT_INFO(name, rule, what) {Mutant::k##name, #name, rule, what, false},
    MIRDAX_MUTANT_LIST(MIRDAX_MUTANT_INFO) MIRDAX_FAULT_MUTANT_LIST(MIRDAX_MUTANT_INFO)
#undef MIRDAX_MUTANT_INFO
#define MIRDAX_MUTANT_INFO(name, rule, what) {Mutant::k##name, #name, rule, what, true},
        MIRDAX_CLIENT_MUTANT_LIST(MIRDAX_MUTANT_INFO)
#undef MIRDAX_MUTANT_INFO
};

constexpr unsigned kDeadlineSeconds = 900;  // for one mutant
constexpr unsigned kSchedules = 48;         // of a file with clients
constexpr int kCaught = 0;
constexpr int kMissed = 1;

std::vector<Workload> ReadWorkloads(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<Workload> workloads;
  for (const auto& file : files) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    Result<Workload> workload = ParseWorkload(text.str());
    if (!workload) {
      fmt::print(stderr, "crash_mutants: {}: {}\n", file.string(), workload.error().message);
      std::exit(2);
    }
    workloads.push_back(std::move(*workload));
  }
  return workloads;
}

// What the ordinary runs visit, the cheapest first.
std::vector<Workload> AllWorkloads(const std::string& folder) {
  std::vector<Workload> workloads = ReadWorkloads(folder);
  for (const unsigned operations : {1U, 2U}) {
    for (const Shape& shape : Shapes()) {
      if (operations == 2 && &shape != &Shapes().front()) break;
      for (GeneratedWorkload& each : Systematic(shape.name, operations))
        workloads.push_back(std::move(each.workload));
    }
  }
  return workloads;
}

std::vector<Workload> ClientWorkloads(const std::string& folder) {
  const std::vector<Workload> files = ReadWorkloads(folder + "/clients");
  std::vector<Workload> workloads;
  for (unsigned i = 0; i < kSchedules; ++i) {
    for (Workload each : files) {
      each.schedule += i;
      workloads.push_back(std::move(each));
    }
  }
  for (GeneratedWorkload& each : ClientPairs(Shapes().front().name, 1, 1))
    workloads.push_back(std::move(each.workload));
  return workloads;
}

std::string OneLine(const Workload& workload) {
  std::string text = PrintWorkload(workload);
  std::ranges::replace(text, '\n', ';');
  return text;
}

bool ShowsInFaults(const MutantInfo& info) { return info.rule.starts_with('F'); }

// As Hunt(), by fault loops.
int HuntInFaults(const MutantInfo& info, const std::vector<Workload>& workloads,
                 const std::map<std::string, std::unique_ptr<ShapedPool>>& pools) {
  ExploreStats stats;
  uint64_t runs = 0;
  for (const Workload& workload : workloads) {
    FaultRun run(*pools.at(workload.shape), stats);
    for (const FaultKind kind : kFaultKinds) {
      const auto chances = run.CountChances(workload, kind);
      for (const bool lasting : {false, true}) {
        for (uint64_t at = 1; chances && at <= chances->back(); ++at) {
          const FaultPlan plan{.kind = kind, .at = at, .lasting = lasting};
          const FaultOutcome outcome = run.Run(workload, plan);
          ++runs;
          if (outcome.violation.empty()) continue;
          fmt::print("{:<24} {}  caught after {} faults: {}\n    by: fault {} of {}\n", info.name,
                     info.rule, runs, outcome.violation, PrintFault(plan), OneLine(workload));
          return kCaught;
        }
      }
    }
  }
  fmt::print("{:<24} {}  NOT CAUGHT by {} faults in {} workloads: {}\n", info.name, info.rule, runs,
             workloads.size(), info.what);
  return kMissed;
}

// In a process of its own. REQUIRES: the pools were built before the mutant was active.
int Hunt(const MutantInfo& info, const std::vector<Workload>& workloads,
         const std::map<std::string, std::unique_ptr<ShapedPool>>& pools) {
#ifdef MIRDAX_MUTANTS
  internal::active_mutant = info.mutant;
#endif
  std::signal(SIGABRT, SIG_DFL);  // a library's handler would end the process otherwise
  alarm(kDeadlineSeconds);
  if (ShowsInFaults(info)) {
    const int result = HuntInFaults(info, workloads, pools);
    std::fflush(stdout);
    return result;
  }
  DistinctImages distinct;
  ExploreStats stats;
  ExploreOptions options;
  options.images_per_point = info.of_clients ? 8 : 24;  // there are many schedules
  options.recovery_every = info.of_clients ? 0 : 8;
  for (const Workload& workload : workloads) {
    Explorer explorer(*pools.at(workload.shape), distinct, stats, {});
    const std::optional<Failure> failure = explorer.Explore(workload, options);
    if (!failure) continue;
    fmt::print("{:<24} {}  caught after {} images: {}\n    by: {}\n", info.name, info.rule,
               stats.check.images, failure->reason, OneLine(failure->workload));
    std::fflush(stdout);
    return kCaught;
  }
  fmt::print("{:<24} {}  NOT CAUGHT in {} images of {} workloads: {}\n", info.name, info.rule,
             stats.check.images, workloads.size(), info.what);
  std::fflush(stdout);
  return kMissed;
}

int Main(const std::string& folder, const std::vector<std::string>& names, unsigned jobs) {
  spdlog::set_level(spdlog::level::off);
  const std::vector<Workload> of_one = AllWorkloads(folder);
  const std::vector<Workload> of_clients = ClientWorkloads(folder);
  std::map<std::string, std::unique_ptr<ShapedPool>> pools;
  for (const Shape& shape : Shapes()) {
    auto pool = ShapedPool::Build(shape);
    if (!pool) {
      fmt::print(stderr, "crash_mutants: {}\n", pool.error().message);
      return 2;
    }
    pools[shape.name] = std::move(*pool);
  }
  std::map<pid_t, const MutantInfo*> running;
  unsigned caught = 0;
  unsigned missed = 0;
  const auto reap = [&] {
    int status = 0;
    const pid_t child = wait(&status);
    const MutantInfo& info = *running.at(child);
    running.erase(child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {  // a check of the engine's own
      fmt::print("{:<24} {}  caught by the engine itself, which stopped\n", info.name, info.rule);
      ++caught;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == kCaught) {
      ++caught;
    } else {
      if (WIFSIGNALED(status))
        fmt::print("{:<24} {}  ended by signal {}\n", info.name, info.rule, WTERMSIG(status));
      ++missed;
    }
  };
  for (const MutantInfo& info : kMutants) {
    if (!names.empty() && std::ranges::find(names, info.name) == names.end()) continue;
    while (running.size() >= jobs) reap();
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) _exit(Hunt(info, info.of_clients ? of_clients : of_one, pools));
    running[child] = &info;
  }
  while (!running.empty()) reap();
  fmt::print("{} mutants caught, {} not\n", caught, missed);
  return missed == 0 && caught > 0 ? 0 : 1;
}

}  // namespace
}  // namespace mirdax::crash

int main(int argc, char** argv) {
  std::string folder;
  std::vector<std::string> names;
  unsigned jobs = 1;
  CLI::App app("Shows that the checks of crash states see each deliberate defect.",
               "crash_mutants");
  app.add_option("--workloads", folder, "folder of workload files to begin with")->required();
  app.add_option("--jobs", jobs, "processes (1)")->check(CLI::Range(1, 64));
  app.add_option("names", names, "only these mutants");
  CLI11_PARSE(app, argc, argv);
  return mirdax::crash::Main(folder, names, jobs);
}
