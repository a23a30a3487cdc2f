// SPDX-License-Identifier: BSD-2-Clause
// mirdax-mirrord: serves a mirror copy. Exit codes: 0 ended by SIGTERM or SIGINT with everything
// applied, 1 failed, 2 usage.
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>

#include "fs/base/standard_io.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"
#include "replicator/auth.h"
#include "replicator/control_client.h"
#include "replicator/fabric/fabric_target.h"
#include "replicator/mirror_server.h"

namespace mirdax {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string pool;
  std::string listen;
  std::string key = kDefaultKeyPath;
  bool no_auth = false;
  std::string fabric = "auto";
  std::string pm = "direct";
  uint64_t pm_seed = 1;
  bool daemon = false;
  bool foreground = false;
  std::string port_file;
  std::string log_level = "info";
};

// Returns the exit code, or -1 to go on.
int ParseArguments(int argc, char** argv, Arguments& arguments) {
  CLI::App app("Serves a mirror copy of a mirdax filesystem to its primary.");
  app.set_version_flag("-V,--version", "mirdax-mirrord (mirdax) " MIRDAX_VERSION);
  app.add_option("--pool", arguments.pool, "Pool of this copy: a devdax device or a file")
      ->required();
  app.add_option("--listen", arguments.listen,
                 "ADDR:PORT to listen on; port 0 takes a free one and prints it")
      ->required();
  auto* key = app.add_option("--key", arguments.key, "Key file, the same on every node")
                  ->capture_default_str();
  app.add_flag("--no-auth", arguments.no_auth,
               "Serve anybody who can connect; the primary must say no_auth too")
      ->excludes(key);
  app.add_option("--fabric", arguments.fabric,
                 "auto, tcp, verbs, or the name of a libfabric provider")
      ->capture_default_str();
  app.add_option("--pm", arguments.pm,
                 "direct; for tests, shadow or shadow-half: SIGKILL becomes a power cut")
      ->capture_default_str();
  app.add_option("--pm-seed", arguments.pm_seed, "Seed of shadow-half")->capture_default_str();
  auto* foreground =
      app.add_flag("-f,--foreground", arguments.foreground, "Stay in the foreground (the default)");
  app.add_flag("--daemon", arguments.daemon, "Detach once it listens; log to syslog")
      ->excludes(foreground);
  app.add_option("--port-file", arguments.port_file, "Write the port number to this file");
  app.add_option("--log-level", arguments.log_level, "debug, info, warning, error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "mirdax-mirrord: {}; see mirdax-mirrord --help\n", error.what());
    return kUsage;
  }
  return -1;
}

int Complain(const Error& error, int code) {
  fmt::print(stderr, "mirdax-mirrord: {}\n", error.message);
  return code;
}

// Writes through a temporary file: whoever waits for it never reads half a number.
Status WritePortFile(const std::string& path, uint16_t port) {
  const std::string temporary = path + ".tmp";
  const std::string text = fmt::format("{}\n", port);
  FILE* file = fopen(temporary.c_str(), "we");
  if (file == nullptr) return Fail(FromErrno(errno, temporary));
  const bool written = fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = fclose(file) == 0;
  if (!written || !closed || rename(temporary.c_str(), path.c_str()) != 0)
    return Fail(FromErrno(errno, path));
  return {};
}

void SetUpLog(const Arguments& arguments) {
  if (arguments.daemon)
    spdlog::set_default_logger(
        spdlog::syslog_logger_mt("mirdax-mirrord", "mirdax-mirrord", LOG_PID, LOG_DAEMON));
  else
    spdlog::set_default_logger(spdlog::stderr_color_mt("mirdax-mirrord"));
  spdlog::set_level(spdlog::level::from_str(arguments.log_level));
}

// Forks; the parent ends when the child tells that it listens, or has failed. Returns the pipe to
// tell it through, in the child.
int Detach() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child > 0) {
    close(ends[1]);
    char code = kFailed;
    if (read(ends[0], &code, 1) != 1) code = kFailed;
    _exit(code);
  }
  close(ends[0]);
  setsid();
  return ends[1];
}

void FinishDetach(int pipe_end) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  if (null > STDERR_FILENO) close(null);
  if (chdir("/") != 0) spdlog::warn("chdir to / failed");
  const char ok = 0;
  if (write(pipe_end, &ok, 1) != 1) spdlog::warn("nobody waits for this daemon to start");
  close(pipe_end);
}

int Serve(const Arguments& arguments, const HostPort& listen, PmMode pm, const sigset_t& signals) {
  std::shared_ptr<const Key> key;
  if (!arguments.no_auth) {
    auto loaded = Key::Load(arguments.key);
    if (!loaded) return Complain(loaded.error(), kFailed);
    key = *loaded;
  }
  const int pipe_end = arguments.daemon ? Detach() : -1;
  fabric::LoadProviders();  // behind the fork: a provider may have threads
  if (arguments.fabric != "auto") {
    const auto provider = fabric::InfoForListening(arguments.fabric, listen.host);
    if (!provider)
      return Complain({provider.error().code, "--fabric: " + provider.error().message}, kFailed);
  }
  SetUpLog(arguments);
  PoolOptions pool_options;
  pool_options.pm = pm;
  pool_options.pm_seed = arguments.pm_seed;
  auto pool = Pool::Open(arguments.pool, pool_options);
  if (!pool) return Complain(pool.error(), kFailed);
  auto private_store = PrivateStore::Open((*pool)->region());
  if (!private_store) return Complain(private_store.error(), kFailed);
  SystemClock clock;
  SystemRandom random;
  fabric::FabricTargetFactory targets(arguments.fabric, listen.host, clock);
  auto copy = MirrorCopy::Open(**pool, **private_store, targets, clock, random);
  if (!copy) return Complain(copy.error(), kFailed);
  MirrorServerOptions options;
  options.listen = listen;
  options.key = key;
  options.pm = arguments.pm;
  auto server = MirrorServer::Start(**copy, options, clock, random);
  if (!server) return Complain(server.error(), kFailed);
  const HostPort& address = (*server)->address();
  if (!arguments.port_file.empty()) {
    if (Status written = WritePortFile(arguments.port_file, address.port); !written)
      return Complain(written.error(), kFailed);
  }
  fmt::print("listening on {}\n", address.ToString());
  fflush(stdout);
  clearerr(stdout);  // nobody reads it: no failure of what is served
  if (arguments.no_auth)
    spdlog::warn("--no-auth: whoever reaches {} can overwrite this copy", address.ToString());
  spdlog::info("serving {} on {}", arguments.pool, address.ToString());
  if (pipe_end >= 0) FinishDetach(pipe_end);

  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("ending on signal {}", signal);
  if (const Status stopped = (*server)->Stop(); !stopped) return kFailed;
  return 0;
}

int Main(int argc, char** argv) {
  // Before any thread exists, so that every one of them inherits it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  BadRanges::InstallHandler();

  Arguments arguments;
  if (const int code = ParseArguments(argc, argv, arguments); code >= 0) return code;
  auto listen = ParseAddress(arguments.listen);
  if (!listen) return Complain(listen.error(), kUsage);
  const auto pm = ParsePmMode(arguments.pm);
  if (!pm) return Complain(pm.error(), kUsage);
  return Serve(arguments, *listen, *pm, signals);
}

}  // namespace
}  // namespace mirdax

int main(int argc, char** argv) {
  return mirdax::RunProgram("mirdax-mirrord", mirdax::kFailed,
                            [&] { return mirdax::Main(argc, argv); });
}
