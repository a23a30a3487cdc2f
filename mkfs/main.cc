// SPDX-License-Identifier: BSD-2-Clause
// mkfs.mirdax: the command line. Exit codes: 0 done, 1 failed or refused, 2 usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "fs/base/standard_io.h"
#include "fs/pmem/bad_ranges.h"
#include "mkfs/format_pool.h"
#include "mkfs/size_text.h"

namespace mirdax {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string path;
  FormatPoolOptions options;
  bool quiet = false;
};

// Options in the words of the user; ParseArguments() gives them their types.
struct Texts {
  std::string size;
  std::string journal;
  std::string inodes;
  std::string bytes_per_inode;
  std::string uuid;
};

Status Interpret(const Texts& texts, Arguments& arguments) {
  const auto read = [](const std::string& text, const char* option,
                       std::optional<uint64_t>& out) -> Status {
    if (text.empty()) return {};
    auto size = ParseSize(text);
    if (!size) return Fail(ErrorCode::kInvalid, "{}: {}", option, size.error().message);
    out = *size;
    return {};
  };
  GeometryOptions& geometry = arguments.options.format.geometry;
  MIRDAX_TRY(read(texts.size, "--size", arguments.options.size));
  MIRDAX_TRY(read(texts.journal, "--journal-size", geometry.journal_size));
  MIRDAX_TRY(read(texts.inodes, "--inodes", geometry.inode_count));
  MIRDAX_TRY(read(texts.bytes_per_inode, "--bytes-per-inode", geometry.bytes_per_inode));
  if (!texts.uuid.empty()) {
    MIRDAX_ASSIGN(arguments.options.format.set_uuid, Uuid::Parse(texts.uuid));
  }
  return {};
}

// Returns the exit code, or -1 to go on.
int ParseArguments(int argc, char** argv, Arguments& arguments) {
  CLI::App app(
      "Makes a mirdax filesystem, or a blank mirror of one, on persistent memory: a devdax device "
      "or a file.");
  Texts texts;
  FormatPoolOptions& options = arguments.options;
  app.set_version_flag("-V,--version", "mkfs.mirdax (mirdax) " MIRDAX_VERSION);
  app.add_option("POOL", arguments.path, "File or devdax device")->required();
  app.add_option("-L,--label", options.format.label, "Name of the filesystem, up to 63 bytes");
  app.add_option("-s,--size", texts.size,
                 "Size of the pool (K, M, G, T); creates or grows a file as needed");
  auto* mirror = app.add_flag("--mirror", options.format.mirror,
                              "Make a blank mirror, to be filled by a primary");
  app.add_flag("-f,--force", options.force, "Destroy what the pool holds");
  app.add_flag("-n,--dry-run", options.dry_run, "Check and show the geometry, change nothing");
  auto* journal =
      app.add_option("-J,--journal-size", texts.journal, "Size of the journal, 1M to 1G");
  auto* inodes = app.add_option("-N,--inodes", texts.inodes, "Number of inodes");
  auto* ratio = app.add_option("-i,--bytes-per-inode", texts.bytes_per_inode,
                               "One inode for this many bytes of pool (default 16K)");
  auto* uuid = app.add_option("-U,--uuid", texts.uuid, "UUID of the set (default random)");
  app.add_flag("-q,--quiet", arguments.quiet, "Print errors only");
  inodes->excludes(ratio);
  for (auto* option : {journal, inodes, ratio, uuid}) mirror->excludes(option);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "mkfs.mirdax: {}; see mkfs.mirdax --help\n", error.what());
    return kUsage;
  }
  if (auto status = Interpret(texts, arguments); !status) {
    fmt::print(stderr, "mkfs.mirdax: {}\n", status.error().message);
    return kUsage;
  }
  return -1;
}

void PrintArea(const char* name, PoolRange area) {
  fmt::print("  {:<14} {} at {}\n", name, SizeText(area.length), area.offset);
}

void PrintReport(const Arguments& arguments, const FormatPoolReport& report) {
  const FormatOptions& format = arguments.options.format;
  const Geometry& g = report.format.geometry;
  fmt::print("{}: {}{}\n", arguments.path, format.mirror ? "blank mirdax mirror" : "mirdax pool",
             arguments.options.dry_run ? " (nothing was changed)" : "");
  fmt::print("  {:<14} {}\n", "size", SizeText(g.pool_size));
  if (!format.label.empty()) fmt::print("  {:<14} {}\n", "label", format.label);
  if (!report.format.set_uuid.IsNil())
    fmt::print("  {:<14} {}\n", "set", report.format.set_uuid.ToString());
  if (!report.format.copy_uuid.IsNil()) {
    fmt::print("  {:<14} {}\n", "copy", report.format.copy_uuid.ToString());
    fmt::print("  {:<14} {}\n", "granularity", GranularityName(report.granularity));
  }
  if (format.mirror) return;
  PrintArea("out-of-sync", g.out_of_sync);
  PrintArea("journal", g.journal);
  PrintArea("block bitmap", g.block_bitmap);
  PrintArea("inode bitmap", g.inode_bitmap);
  PrintArea("orphan bitmap", g.orphan_bitmap);
  PrintArea("inode table", g.inode_table);
  PrintArea("data", g.data);
  fmt::print("  {:<14} {}\n", "inodes", g.inode_count);
  fmt::print("  {:<14} {} of {} bytes in {} groups\n", "blocks", g.data_blocks, kBlockSize,
             g.group_count());
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (const int code = ParseArguments(argc, argv, arguments); code >= 0) return code;
  BadRanges::InstallHandler();
  SystemRandom random;
  SystemClock clock;
  const auto report = FormatPool(arguments.path, arguments.options, random, clock);
  if (!report) {
    fmt::print(stderr, "mkfs.mirdax: {}\n", report.error().message);
    return kFailed;
  }
  if (arguments.quiet) return 0;
  PrintReport(arguments, *report);
  if (report->shortfall != 0)
    fmt::print(
        stderr,
        "mkfs.mirdax: {}: warning: the filesystem that holds it lacks {}; when it is full, "
        "stores into the pool are refused: writes fail, and the filesystem may stop; make room, or "
        "reserve it with fallocate(1)\n",
        arguments.path, SizeText(report->shortfall));
  return 0;
}

}  // namespace
}  // namespace mirdax

int main(int argc, char** argv) {
  return mirdax::RunProgram("mkfs.mirdax", mirdax::kFailed,
                            [&] { return mirdax::Main(argc, argv); });
}
