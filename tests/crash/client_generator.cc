// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/client_generator.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/crash/interleaved_run.h"
#include "tests/crash/seeds.h"
#include "tests/crash/shapes.h"

namespace mirdax::crash {
namespace {

// Of three clients or more: else there may be more orders than the oracle tries.
constexpr size_t kMostLines = 11;

// The files of every shape, and their handles.
const std::map<std::string, std::string, std::less<>>& Handles() {
  static const std::map<std::string, std::string, std::less<>> handles = {
      {"A/f", "@af"}, {"B/g", "@bg"}, {"f", "@f"}};
  return handles;
}

std::vector<Operation> OpenAll() {
  std::vector<Operation> lines;
  for (const auto& [path, handle] : Handles()) {
    lines.push_back({.kind = OpKind::kOpen, .path = path, .other = handle});
  }
  return lines;
}

bool TakesFile(OpKind kind) {
  switch (kind) {
    case OpKind::kCreate:
    case OpKind::kMkdir:
    case OpKind::kMknod:
    case OpKind::kSymlink:
    case OpKind::kUnlink:
    case OpKind::kRmdir:
    case OpKind::kRename:
    case OpKind::kTmpfile:
    case OpKind::kOpen:
      return false;
    default:
      return true;
  }
}

// A core operation as a client does it.
struct Act {
  std::vector<Operation> lines;
  std::string file;               // handle to sync; empty: none
  std::vector<std::string> dirs;  // one of which is synced
  std::set<std::string> uses;     // files, directories: where two of these meet, clients do
};

void UseHandle(std::string& path, Act& act) {
  const auto handle = Handles().find(path);
  if (handle == Handles().end()) return;
  act.uses.insert(path);
  path = handle->second;
  if (act.file.empty()) act.file = path;
}

Act ActOf(const CoreOperation& core) {
  Act act{.lines = core.lines, .file = {}, .dirs = core.dirs, .uses = {}};
  act.uses.insert(core.dirs.begin(), core.dirs.end());
  for (Operation& line : act.lines) {
    if (line.kind == OpKind::kCopy) UseHandle(line.other, act);  // it is the target that is synced
    if (TakesFile(line.kind)) UseHandle(line.path, act);
    if (line.kind == OpKind::kRename || line.kind == OpKind::kUnlink) {
      if (const auto handle = Handles().find(line.path); handle != Handles().end()) {
        act.uses.insert(line.path);
        act.file = handle->second;
      }
    }
  }
  return act;
}

const std::vector<Act>& Acts() {
  static const std::vector<Act> acts = [] {
    std::vector<Act> all;
    for (const CoreOperation& core : CoreOperations()) {
      if (core.lines.front().kind != OpKind::kUnmount) all.push_back(ActOf(core));
    }
    return all;
  }();
  return acts;
}

Operation RandomSync(const Act& act, std::mt19937_64& random) {
  constexpr OpKind kOfFile[] = {OpKind::kFsync, OpKind::kFsync, OpKind::kFdatasync, OpKind::kMsync};
  const uint64_t choice = random() % 8;
  if (choice == 0) return {.kind = OpKind::kTick};
  if (choice < 5 && !act.file.empty()) return {.kind = kOfFile[choice - 1], .path = act.file};
  return {.kind = OpKind::kFsyncDir, .path = act.dirs[random() % act.dirs.size()]};
}

class Builder {
 public:
  explicit Builder(const std::string& shape) : shape_(shape), start_(Start()) {
    MIRDAX_CHECK(start_.has_value());
  }

  // Client i + 1 does lines[i].
  std::optional<GeneratedWorkload> Make(const std::vector<std::vector<Operation>>& lines) const {
    GeneratedWorkload made;
    Workload& workload = made.workload;
    workload.shape = shape_;
    workload.operations = OpenAll();
    size_t all = 0;
    for (const auto& each : lines) all += each.size();
    if (lines.size() > 2 && all > kMostLines) return std::nullopt;
    made.first_operation = static_cast<uint32_t>(workload.operations.size()) + 1;
    for (unsigned client = 1; client <= lines.size(); ++client) {
      State alone = *start_;
      for (Operation operation : lines[client - 1]) {
        operation.client = static_cast<uint8_t>(client);
        operation.tag = workload.operations.size() + 1;
        for (std::string* name : {&operation.path, &operation.other}) {
          if (*name == "@t" || *name == "@o") *name += std::to_string(client);  // its own
        }
        if (alone.Apply(operation, 1)) return std::nullopt;
        workload.operations.push_back(std::move(operation));
      }
    }
    if (!CheckClients(workload)) return std::nullopt;
    return made;
  }

 private:
  // The names that all shapes have, and the handles.
  static Result<State> Start() {
    MIRDAX_ASSIGN(const auto pool, ShapedPool::Build(*FindShape("plain")));
    State state;
    pool->region().Begin();
    MIRDAX_ASSIGN(const auto mounted, pool->Mount(&state));
    for (const Operation& open : OpenAll()) state.Apply(open, 0);
    return state;
  }

  const std::string shape_;
  const Result<State> start_;
};

std::vector<Operation> WithSync(const Act& act, bool sync, std::mt19937_64& random) {
  std::vector<Operation> lines = act.lines;
  if (sync) lines.push_back(RandomSync(act, random));
  return lines;
}

bool Meet(const Act& a, const Act& b) {
  return std::ranges::any_of(a.uses,
                             [&b](const std::string& name) { return b.uses.contains(name); });
}

}  // namespace

std::vector<GeneratedWorkload> ClientPairs(const std::string& shape, uint64_t schedules,
                                           uint64_t seed) {
  const Builder builder(shape);
  std::mt19937_64 random(SeedOf(seed, shape));
  std::vector<GeneratedWorkload> result;
  const std::vector<Act>& acts = Acts();
  for (size_t i = 0; i < acts.size(); ++i) {
    for (size_t j = i; j < acts.size(); ++j) {
      const auto first = WithSync(acts[i], random() % 8 != 0, random);
      const auto second = WithSync(acts[j], random() % 8 != 0, random);
      auto made = builder.Make({first, second});
      if (!made) continue;
      for (uint64_t schedule = 0; schedule < schedules; ++schedule) {
        made->workload.schedule = seed + schedule;
        result.push_back(*made);
      }
    }
  }
  return result;
}

std::vector<GeneratedWorkload> SampleClients(const std::string& shape, unsigned clients,
                                             unsigned most_operations, uint64_t count,
                                             uint64_t seed) {
  const Builder builder(shape);
  std::mt19937_64 random(SeedOf(seed, shape));
  const auto any = [&random]() -> const Act& { return Acts()[random() % Acts().size()]; };
  std::vector<GeneratedWorkload> result;
  while (result.size() < count) {
    const Act& common = any();
    std::vector<std::vector<Operation>> all(clients);
    for (std::vector<Operation>& lines : all) {
      if (&lines == &all.back() && clients > 1 && random() % 6 == 0) {
        lines = {{.kind = OpKind::kTick}};
        continue;
      }
      const uint64_t length = 1 + random() % most_operations;
      for (uint64_t n = 0; n < length; ++n) {
        const Act* act = &any();
        for (int tries = 0; tries < 8 && !Meet(*act, common); ++tries) act = &any();
        for (Operation& line : WithSync(*act, random() % 4 != 0, random))
          lines.push_back(std::move(line));
      }
    }
    auto made = builder.Make(all);
    if (!made) continue;
    made->workload.schedule = random() % 1'000'000;
    result.push_back(std::move(*made));
  }
  return result;
}

}  // namespace mirdax::crash
