// SPDX-License-Identifier: BSD-2-Clause
// fsck.mirdax: see man/fsck.mirdax.8.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "fs/base/standard_io.h"
#include "fs/pmem/pool.h"
#include "tools/common/text.h"
#include "tools/fsck/check.h"
#include "tools/fsck/render.h"

namespace mirdax::fsck {
namespace {

// e2fsck's bits.
constexpr int kClean = 0;
constexpr int kErrorsLeft = 4;
constexpr int kOperationalError = 8;
constexpr int kUsage = 16;

struct Arguments {
  std::string pool;
  bool json = false;
  bool verbose = false;
  bool quiet = false;
};

void ShowProgress(std::string_view phase, unsigned percent) {
  fmt::print(stderr, "\r{:<12} {:>3} %\r", phase, percent);
  std::fflush(stderr);
}

int Fail(const std::string& pool, const Error& error) {
  fmt::print(stderr, "fsck.mirdax: {}\n", ErrorText(pool, error));
  return kOperationalError;
}

int Run(const Arguments& arguments) {
  BadRanges::InstallHandler();
  PoolOptions pool_options;
  pool_options.access = PoolAccess::kSnapshot;
  // Raw, since a pool whose superblock is damaged is what fsck is for.
  const auto pool = Pool::OpenRaw(arguments.pool, pool_options);
  if (!pool) return Fail(arguments.pool, pool.error());

  CheckOptions options;
  const bool tty = isatty(STDERR_FILENO) == 1 && !arguments.quiet;
  if (tty) options.progress = ShowProgress;
  const Result<FsckReport> report = CheckPool((*pool)->region(), options);
  if (tty) fmt::print(stderr, "\r{:20}\r", "");
  if (!report) return Fail(arguments.pool, report.error());

  if (arguments.json) {
    fmt::print("{}", RenderJson(*report, arguments.pool));
  } else if (!arguments.quiet || !report->clean()) {
    fmt::print("{}", RenderText(*report, arguments.pool, arguments.verbose));
  }
  return report->clean() ? kClean : kErrorsLeft;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  bool ignored = false;
  CLI::App app("Checks a mirdax pool that is not in use. Nothing is ever written to it.",
               "fsck.mirdax");
  app.set_version_flag("-V,--version", "fsck.mirdax (mirdax) " MIRDAX_VERSION);
  app.add_option("POOL", arguments.pool, "file or device of the pool")->required();
  app.add_flag("--json", arguments.json, "print the report as JSON");
  app.add_flag("-v,--verbose", arguments.verbose, "print what was counted");
  app.add_flag("-q,--quiet", arguments.quiet, "print nothing when the pool is clean");
  app.add_flag("-n,-f,-a,-p,-y", ignored, "accepted for fsck(8): always read-only, always in full");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "fsck.mirdax: {}; see fsck.mirdax --help\n", error.what());
    return kUsage;
  }
  return Run(arguments);
}

}  // namespace
}  // namespace mirdax::fsck

int main(int argc, char** argv) {
  return mirdax::RunProgram("fsck.mirdax", mirdax::fsck::kOperationalError,
                            [&] { return mirdax::fsck::Main(argc, argv); });
}
