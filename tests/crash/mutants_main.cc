// SPDX-License-Identifier: BSD-2-Clause
// crash_mutants: switches on each deliberate defect in turn and says which workload shows it. A
// defect that none shows is a hole in the checks, and makes the command fail.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <map>

#include "fs/base/mutant.h"
#include "tests/crash/mutant_hunt.h"

namespace mirdax::crash {
namespace {

enum class ShownBy : uint8_t {
  kOneClient,
  kClients,  // at work at once
  kFaults,
  kMirrors,  // their crash images
};

struct MutantInfo {
  Mutant mutant;
  std::string_view name;
  std::string_view rule;
  std::string_view what;
  ShownBy shown_by;
  Scenario scenario = Scenario::kSteady;  // of kMirrors: the likely one
};

constexpr MutantInfo kMutants[] = {
#define MIRDAX_MUTANT_INFO(name, rule, what) \
  {Mutant::k##name, #name, rule, what, ShownBy::kOneClient},
    MIRDAX_MUTANT_LIST(MIRDAX_MUTANT_INFO)
#undef MIRDAX_MUTANT_INFO
#define MIRDAX_MUTANT_INFO(name, rule, what) {Mutant::k##name, #name, rule, what, ShownBy::kFaults},
        MIRDAX_FAULT_MUTANT_LIST(MIRDAX_MUTANT_INFO)
#undef MIRDAX_MUTANT_INFO
#define MIRDAX_MUTANT_INFO(name, rule, scenario, what) \
  {Mutant::k##name, #name, rule, what, ShownBy::kMirrors, Scenario::scenario},
            MIRDAX_MIRROR_MUTANT_LIST(MIRDAX_MUTANT_INFO)
#undef MIRDAX_MUTANT_INFO
#define MIRDAX_MUTANT_INFO(name, rule, what) \
  {Mutant::k##name, #name, rule, what, ShownBy::kClients},
                MIRDAX_CLIENT_MUTANT_LIST(MIRDAX_MUTANT_INFO)
#undef MIRDAX_MUTANT_INFO
};

constexpr unsigned kDeadlineSeconds = 900;  // for one mutant
constexpr int kCaught = 0;
constexpr int kMissed = 1;

std::optional<Sighting> Hunt(const MutantInfo& info, MutantHunt& hunt) {
  switch (info.shown_by) {
    case ShownBy::kOneClient:
      return hunt.Alone();
    case ShownBy::kClients:
      return hunt.WithClients();
    case ShownBy::kFaults:
      return hunt.WithFaults(info.rule);
    case ShownBy::kMirrors:
      return hunt.WithMirrors(info.scenario);
  }
  return std::nullopt;
}

// In a process of its own.
int HuntAndTell(const MutantInfo& info, HuntingGround& ground) {
#ifdef MIRDAX_MUTANTS
  internal::active_mutant = info.mutant;
#endif
  std::signal(SIGABRT, SIG_DFL);  // a library's handler would end the process otherwise
  alarm(kDeadlineSeconds);
  const auto begun = std::chrono::steady_clock::now();
  MutantHunt hunt(ground);
  const std::optional<Sighting> seen = Hunt(info, hunt);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  if (seen) {
    fmt::print("{:<24} {}  caught in {:.1f} s, {}: {}\n    by: {}\n", info.name, info.rule,
               took.count(), hunt.Effort(), seen->reason, seen->run);
  } else {
    fmt::print("{:<24} {}  NOT CAUGHT in {:.1f} s, {}: {}\n", info.name, info.rule, took.count(),
               hunt.Effort(), info.what);
  }
  std::fflush(stdout);
  return seen ? kCaught : kMissed;
}

int Main(const std::string& folder, const std::vector<std::string>& names, unsigned jobs) {
  spdlog::set_level(spdlog::level::off);
  Result<HuntingGround> ground = HuntingGround::Make(folder);
  if (!ground) {
    fmt::print(stderr, "crash_mutants: {}\n", ground.error().message);
    return 2;
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
    if (child == 0) _exit(HuntAndTell(info, *ground));
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
