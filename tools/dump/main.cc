// SPDX-License-Identifier: BSD-2-Clause
// dump.mirdax: see man/dump.mirdax.8.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fs/base/standard_io.h"
#include "fs/pmem/pool.h"
#include "tools/common/text.h"
#include "tools/dump/dump.h"
#include "tools/dump/render.h"

namespace mirdax::dump {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string pool;
  std::string what = "superblock";
  std::optional<uint64_t> number;
  std::string path;
  std::optional<Lsn> from;
  size_t limit = 10000;
  bool json = false;
  bool replay = false;
  bool runs = false;
};

void Print(const Json& json, bool as_json) {
  fmt::print("{}{}", as_json ? RenderJson(json) : RenderText(json), as_json ? "\n" : "");
}

Result<Json> DumpOne(Dumper& dumper, const Arguments& arguments) {
  if (arguments.what == "superblock") return dumper.Superblocks();
  if (arguments.what == "private") return dumper.PrivateBlocks();
  if (arguments.what == "journal") return dumper.Journal(arguments.from);
  if (arguments.what == "free") return dumper.Free(arguments.runs);
  Ino ino = arguments.number.value_or(kRootIno);
  if (!arguments.path.empty()) {
    MIRDAX_ASSIGN(ino, dumper.FindPath(arguments.path));
  }
  if (arguments.what == "inode") return dumper.Inode(ino, arguments.limit);
  return dumper.Directory(ino, arguments.limit);
}

// Everything, one part after another, so that a large pool needs little memory.
Status DumpAll(Dumper& dumper, const Arguments& arguments) {
  const bool json = arguments.json;
  bool first = true;
  const auto part = [&](std::string_view name, const Json& value) {
    if (json) {
      fmt::print("{}\n\"{}\": {}", first ? "{" : ",", name, RenderJson(value));
    } else {
      fmt::print("{}{}:\n{}", first ? "" : "\n", name, RenderText(value, 2));
    }
    first = false;
  };
  part("superblock", dumper.Superblocks());
  part("private", dumper.PrivateBlocks());
  Status status;
  const auto checked = [&](std::string_view name, const Result<Json>& value) {
    if (value) {
      part(name, *value);
    } else {
      part(name, Json{{"problem", value.error().message}});
      status = Fail(value.error());
    }
  };
  checked("journal", dumper.Journal(arguments.from));
  checked("free", dumper.Free(arguments.runs));
  const Status walked = dumper.ForEachInode([&](Ino ino) {
    checked(fmt::format("inode {}", ino), dumper.Inode(ino, arguments.limit));
    if (auto directory = dumper.Directory(ino, arguments.limit)) {
      part(fmt::format("dir {}", ino), *directory);
    }
  });
  if (json) fmt::print("\n}}\n");
  return walked ? status : walked;
}

int Run(const Arguments& arguments) {
  const auto fail = [&](const Error& error) {
    fmt::print(stderr, "dump.mirdax: {}\n", ErrorText(arguments.pool, error));
    return kFailed;
  };
  BadRanges::InstallHandler();
  PoolOptions options;
  options.access = PoolAccess::kSnapshot;
  // Raw, since damaged pools are what dump is for.
  const auto pool = Pool::OpenRaw(arguments.pool, options);
  if (!pool) return fail(pool.error());
  if ((*pool)->region().size() < kDynamicAreaOffset) {
    return fail(Error{ErrorCode::kCorrupt,
                      fmt::format("{} bytes are too short for a pool", (*pool)->region().size())});
  }
  Dumper dumper((*pool)->region());
  if (arguments.replay) {
    if (const Status status = dumper.Replay(); !status) return fail(status.error());
  }
  Region& region = (*pool)->region();
  if (arguments.what == "all") {
    Status status = DumpAll(dumper, arguments);
    if (status) status = region.CheckGood(0, region.size());
    return status ? kOk : fail(status.error());
  }
  const Result<Json> json = DumpOne(dumper, arguments);
  // Zeros that were read instead are not for showing.
  if (const Status good = region.CheckGood(0, region.size()); !good) return fail(good.error());
  if (!json) return fail(json.error());
  Print(*json, arguments.json);
  const bool pair = arguments.what == "superblock" || arguments.what == "private";
  const bool readable = !pair || std::any_of(json->begin(), json->end(), [](const Json& copy) {
    return copy.value("current", false);
  });
  if (readable) return kOk;
  fmt::print(stderr, "dump.mirdax: {}: neither copy is valid\n", arguments.pool);
  return kFailed;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Shows the structures of a mirdax pool that is not in use. Nothing is ever written.",
               "dump.mirdax");
  app.set_version_flag("-V,--version", "dump.mirdax (mirdax) " MIRDAX_VERSION);
  app.add_option("POOL", arguments.pool, "file or device of the pool")->required();
  app.add_option("WHAT", arguments.what, "superblock, private, journal, inode, dir, free or all")
      ->check(CLI::IsMember({"superblock", "private", "journal", "inode", "dir", "free", "all"}));
  auto* number = app.add_option("NUMBER", arguments.number,
                                "inode number for inode and dir (default: the root)")
                     ->check(CLI::Range(uint64_t{0}, std::numeric_limits<uint64_t>::max() - 1));
  auto* path = app.add_option("--path", arguments.path, "path in the filesystem instead of NUMBER");
  path->excludes(number);
  app.add_option("--from", arguments.from,
                 "journal: list records from this LSN, not from the tail");
  app.add_option("--limit", arguments.limit, "most extents or entries of one inode");
  app.add_flag("--runs", arguments.runs, "free: list every run of free blocks");
  app.add_flag("--replay", arguments.replay,
               "apply the journal first (in memory), as a mount would");
  app.add_flag("--json", arguments.json, "print JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "dump.mirdax: {}; see dump.mirdax --help\n", error.what());
    return kUsage;
  }
  if ((*path || *number) && arguments.what != "inode" && arguments.what != "dir") {
    fmt::print(stderr, "dump.mirdax: a path or a number goes with inode or dir, not with {}\n",
               arguments.what);
    return kUsage;
  }
  return Run(arguments);
}

}  // namespace
}  // namespace mirdax::dump

int main(int argc, char** argv) {
  return mirdax::RunProgram("dump.mirdax", mirdax::dump::kFailed,
                            [&] { return mirdax::dump::Main(argc, argv); });
}
