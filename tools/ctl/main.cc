// SPDX-License-Identifier: BSD-2-Clause
// mirdax: see man/mirdax.8.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>

#include "fs/base/standard_io.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"
#include "replicator/control_client.h"
#include "tools/common/text.h"
#include "tools/ctl/promote.h"
#include "tools/ctl/status.h"

namespace mirdax::ctl {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kDegraded = 3;

int Fail(const std::string& target, const Error& error) {
  fmt::print(stderr, "mirdax: {}\n", ErrorText(target, error));
  return kFailed;
}

int RunStatus(const std::string& target, const StatusOptions& options, bool json) {
  const Result<std::string> document = FetchStatus(target, options);
  if (!document) return Fail(target, document.error());
  const Result<RenderedStatus> status = RenderStatus(*document);
  if (!status) return Fail(target, status.error());
  fmt::print("{}", json ? status->json : status->text);
  return status->healthy ? kOk : kDegraded;
}

int RunPromote(const std::string& path, bool force) {
  const auto pool = Pool::Open(path, {});
  if (!pool) return Fail(path, pool.error());
  const auto store = PrivateStore::Open((*pool)->region());
  if (!store) return Fail(path, store.error());
  SystemClock clock;
  SystemRandom random;
  const Result<PromoteReport> report = Promote(**pool, **store, force, clock, random);
  if (!report) return Fail(path, report.error());
  fmt::print(
      "{}: now a primary{}\n"
      "  epoch        {} (was {}), id {:016x}\n"
      "  commit LSN   {}\n"
      "  replayed     {} records\n"
      "Next: mount -t mirdax {} DIR, with -o mirror=HOST:PORT for each mirror; mirrors of the old\n"
      "primary are filled from this copy. The old primary is stale: never mount it again.\n",
      path, report->forced ? ", by force: run fsck.mirdax before you mount it" : "",
      report->epoch.number, report->before.number, report->epoch.id, report->commit,
      report->records_replayed, path);
  return kOk;
}

int Main(int argc, char** argv) {
  BadRanges::InstallHandler();
  CLI::App app("Administers mirdax mounts, mirrors and pools.", "mirdax");
  app.set_version_flag("-V,--version", "mirdax (mirdax) " MIRDAX_VERSION);
  app.require_subcommand(1);

  std::string target;
  StatusOptions options;
  bool json = false;
  long timeout_seconds = 3;
  CLI::App* status = app.add_subcommand("status", "show the state of a mount, a mirror or a pool");
  status->add_option("TARGET", target, "mount point, HOST:PORT of a mirror daemon, or unused pool")
      ->required();
  status->add_flag("--json", json, "print the status document");
  auto* key = status->add_option("--key", options.key_file, "key file, for HOST:PORT")
                  ->default_str(mirdax::kDefaultKeyPath);
  status->add_flag("--no-auth", options.no_auth, "for a daemon that runs with --no-auth")
      ->excludes(key);
  status->add_option("--timeout", timeout_seconds, "seconds to wait for an answer")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();

  std::string path;
  bool force = false;
  CLI::App* promote = app.add_subcommand("promote", "make a primary of a mirror's pool");
  promote->add_option("POOL", path, "file or device; its daemon is stopped")->required();
  promote->add_flag("--force", force, "even if the copy is incomplete: the last resort");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "mirdax: {}{}; see mirdax --help\n", error.what(),
               app.get_subcommands().empty() ? ": status or promote" : "");
    return kUsage;
  }
  options.timeout = std::chrono::seconds(timeout_seconds);
  if (promote->parsed()) return RunPromote(path, force);
  return RunStatus(target, options, json);
}

}  // namespace
}  // namespace mirdax::ctl

int main(int argc, char** argv) {
  return mirdax::RunProgram("mirdax", mirdax::ctl::kFailed,
                            [&] { return mirdax::ctl::Main(argc, argv); });
}
