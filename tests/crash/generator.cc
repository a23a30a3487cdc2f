// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/generator.h"

#include <random>

#include "tests/crash/model.h"
#include "tests/crash/seeds.h"
#include "tests/crash/shapes.h"

namespace mirdax::crash {
namespace {

// FILE | DIRECTORY,... | lines, separated by ';'. Tags are given later.
constexpr const char* kCore[] = {
    "A/n|A|create A/n 0640",
    "B/n|B|create B/n 0600",
    "|A|mkdir A/m 0750",
    "|A|mknod A/p 0600 0 fifo",
    "|B|mknod B/c 0660 259 char",
    "|A|symlink A/s f",
    "|A|symlink A/t "
    "a-target-that-does-not-fit-into-an-inode/a-target-that-does-not-fit-into-an-inode/"
    "a-target-that-does-not-fit-into-an-inode/a-target-that-does-not-fit-into-an-inode",
    "A/f|B|link A/f B/k",
    "f|A|link f A/k",
    "f|A|unlink A/f",
    "A/f|B|unlink B/g",
    "A/f|/|unlink f",
    "f|A|unlink A/l",
    "|B|rmdir B/e",
    "|A|rmdir A/d",
    "A/r|A|rename A/f A/r",
    "B/r|B,A|rename A/f B/r",
    "B/g|B,A|rename A/f B/g",
    "f|/,B|rename B/g f",
    "|A,B|rename B/e A/r",
    "|B,A|rename A/d B/e",
    "A/d/f|A/d,A|rename A/f A/d/f",
    "B/g|A,B|rename A/f B/g exchange",
    "A/d|B,A|rename A/d B/g exchange",
    "|A,B|rename A/d B/e exchange",
    "B/r|B,A|rename A/f B/r noreplace",
    "A/f|A|write A/f 0 100 0",
    "A/f|A|write A/f 4000 300 0",
    "A/f|A|write A/f 4096 4096 0",
    "A/f|A|write A/f 8000 3000 0",
    "A/f|A|write A/f 20000 500 0",
    "A/f|A|write A/f 0 40000 0",
    "B/g|B|write B/g 57344 10 0",
    "f|/|write f 3 8 0 sync",
    "A/f|A|append A/f 100 0",
    "B/g|B|append B/g 5000 0",
    "f|/|append f 9000 0 sync",
    "A/f|A|mmap-store A/f 4090 60 0",
    "f|/|mmap-store f 100 16 0",
    "A/f|A|truncate A/f 0",
    "A/f|A|truncate A/f 100",
    "A/f|A|truncate A/f 4096",
    "A/f|A|truncate A/f 5003",
    "A/f|A|truncate A/f 20000",
    "B/g|B|truncate B/g 50",
    "A/f|A|fallocate A/f 0 32768",
    "A/f|A|fallocate A/f 8192 16384 keep-size",
    "A/f|A|punch A/f 1000 2000",
    "A/f|A|punch A/f 4096 4096",
    "A/f|A|punch A/f 100 8800",
    "A/f|A|zero A/f 2000 5000",
    "A/f|A|zero A/f 4096 16384",
    "A/f|A|zero A/f 0 20480 keep-size",
    "A/f|A|setxattr A/f user.b 30 0",
    "A/f|A|setxattr A/f user.a 2000 0 replace",
    "B/g|B|setxattr B/g user.b 300 0 create",
    "|A|setxattr A user.b 20 0",
    "A/f|A|removexattr A/f user.a",
    "A/f|A|chmod A/f 0600",
    "|/|chmod A 0700",
    "A/f|A|chown A/f 7 8",
    "A/f|A|utimens A/f 123456 654321",
    "B/g|B|copy A/f 0 B/g 0 9000",
    "B/g|B|copy f 1000 B/g 4000 5000",
    "A/f|A|copy A/f 0 A/f 16384 4096",
    "A/u|A|tmpfile A @t 0644;write @t 0 5000 0;link @t A/u;close @t",
    "A/f|A|open A/f @o;unlink A/f;write @o 2000 4000 0;close @o;link f A/f",
    "f|/|open B/g @o;unlink B/g;append @o 100 0;fsync @o;close @o",
    "|/|unmount",
    "A/f|A|create A/w 0600;write A/w 0 4500 0;fsync A/w;rename A/w A/f",
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// What may follow a core operation: index 0 is nothing.
std::vector<std::vector<Operation>> SyncsAfter(const CoreOperation& core) {
  std::vector<std::vector<Operation>> syncs;
  syncs.emplace_back();
  if (!core.file.empty()) {
    for (const OpKind kind : {OpKind::kFsync, OpKind::kFdatasync, OpKind::kMsync}) {
      syncs.push_back({{.kind = kind, .path = core.file}});
    }
  }
  for (const std::string& dir : core.dirs)
    syncs.push_back({{.kind = OpKind::kFsyncDir, .path = dir}});
  syncs.push_back({{.kind = OpKind::kTick}});
  return syncs;
}

// The names that all shapes have, without the trouble of one.
Result<State> StartingState() {
  MIRDAX_ASSIGN(const auto pool, ShapedPool::Build(*FindShape("plain")));
  State state;
  pool->region().Begin();
  MIRDAX_ASSIGN(const auto mounted, pool->Mount(&state));
  return state;
}

class Builder {
 public:
  explicit Builder(std::string shape) : shape_(std::move(shape)), start_(StartingState()) {
    MIRDAX_CHECK(start_.has_value());
  }

  // The workload of `parts`, unless the model refuses an operation of it.
  std::optional<Workload> Make(const std::vector<const std::vector<Operation>*>& parts) const {
    Workload workload{.shape = shape_, .operations = {}};
    State state = *start_;
    for (const std::vector<Operation>* part : parts) {
      for (Operation operation : *part) {
        const auto index = static_cast<uint32_t>(workload.operations.size() + 1);
        operation.tag = index;
        if (state.Apply(operation, index)) return std::nullopt;
        workload.operations.push_back(std::move(operation));
      }
    }
    return workload;
  }

 private:
  const std::string shape_;
  const Result<State> start_;
};

uint32_t CountOf(const std::vector<const std::vector<Operation>*>& parts) {
  uint32_t count = 0;
  for (const auto* part : parts) count += static_cast<uint32_t>(part->size());
  return count;
}

}  // namespace

const std::vector<CoreOperation>& CoreOperations() {
  static const std::vector<CoreOperation> all = [] {
    std::vector<CoreOperation> result;
    for (const char* text : kCore) {
      const std::vector<std::string> fields = Split(text, '|');
      CoreOperation core{.lines = {}, .file = fields[0], .dirs = Split(fields[1], ',')};
      for (const std::string& line : Split(fields[2], ';')) {
        Result<Operation> operation = ParseOperation(line);
        MIRDAX_CHECK(operation.has_value());
        core.lines.push_back(std::move(*operation));
      }
      result.push_back(std::move(core));
    }
    return result;
  }();
  return all;
}

std::vector<GeneratedWorkload> Systematic(const std::string& shape, unsigned length) {
  const Builder builder(shape);
  std::vector<GeneratedWorkload> result;
  for (const CoreOperation& first : CoreOperations()) {
    for (const auto& first_sync : SyncsAfter(first)) {
      if (length == 1) {
        if (auto workload = builder.Make({&first.lines, &first_sync})) {
          const uint32_t before = first_sync.empty() ? 0 : CountOf({&first.lines}) + 1;
          result.push_back({std::move(*workload), before});
        }
        continue;
      }
      for (const CoreOperation& second : CoreOperations()) {
        for (const auto& second_sync : SyncsAfter(second)) {
          auto workload = builder.Make({&first.lines, &first_sync, &second.lines, &second_sync});
          if (!workload) continue;
          // What comes before the last sync point is another workload.
          uint32_t before = CountOf({&first.lines, &first_sync});
          if (!second_sync.empty()) before += CountOf({&second.lines});
          result.push_back({std::move(*workload), before + 1});
        }
      }
    }
  }
  return result;
}

std::vector<GeneratedWorkload> Sample(const std::string& shape, unsigned length, uint64_t count,
                                      uint64_t seed) {
  const Builder builder(shape);
  std::mt19937_64 random(SeedOf(seed, shape));
  std::vector<GeneratedWorkload> result;
  while (result.size() < count) {
    std::vector<std::vector<Operation>> chosen;
    for (unsigned i = 0; i < length; ++i) {
      const CoreOperation& core = CoreOperations()[random() % CoreOperations().size()];
      const auto syncs = SyncsAfter(core);
      chosen.push_back(core.lines);
      chosen.push_back(random() % 2 == 0 ? syncs[0] : syncs[random() % syncs.size()]);
    }
    std::vector<const std::vector<Operation>*> parts;
    for (const auto& part : chosen) parts.push_back(&part);
    if (auto workload = builder.Make(parts)) result.push_back({std::move(*workload), 0});
  }
  return result;
}

}  // namespace mirdax::crash
