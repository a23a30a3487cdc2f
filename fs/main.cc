// SPDX-License-Identifier: BSD-2-Clause
// mount.mirdax: recovers a pool, connects its mirrors, mounts it, and serves it until it is
// unmounted.
//
// Order, and what a failure at each step leaves behind: open and lock the pool (nothing), recover
// (idempotent), connect mirrors (each change durable by itself), start the volume (clears `clean`),
// mount, serve. The end runs backwards; whatever is left out of it is what recovery is for.
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "fs/base/standard_io.h"
#include "fs/core/recovery.h"
#include "fs/core/volume.h"
#include "fs/fuse/daemonize.h"
#include "fs/fuse/mount_options.h"
#include "fs/fuse/operations.h"
#include "fs/fuse/session.h"
#include "fs/fuse/status_document.h"
#include "fs/fuse/status_socket.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"
#include "replicator/control_client.h"
#include "replicator/primary_replication.h"

namespace mirdax {
namespace {

int FailWith(int code, const Error& error) {
  fmt::print(stderr, "mount.mirdax: {}\n", error.message);
  return code;
}

// stderr until the mount answers, then syslog when in the background.
class Log {
 public:
  explicit Log(const MountOptions& options)
      : sinks_(std::make_shared<spdlog::sinks::dist_sink_mt>()) {
    auto terminal = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    terminal->set_pattern("mount.mirdax: %v");
    sinks_->add_sink(std::move(terminal));
    auto logger = std::make_shared<spdlog::logger>("mount.mirdax", sinks_);
    // In the background, success is silent.
    logger->set_level(options.verbose      ? spdlog::level::debug
                      : options.foreground ? spdlog::level::info
                                           : spdlog::level::warn);
    spdlog::set_default_logger(std::move(logger));
  }

  void GoToSyslog() {
    auto sink =
        std::make_shared<spdlog::sinks::syslog_sink_mt>("mount.mirdax", LOG_PID, LOG_DAEMON, false);
    sinks_->set_sinks({std::move(sink)});
    if (spdlog::get_level() > spdlog::level::info) spdlog::set_level(spdlog::level::info);
  }

 private:
  std::shared_ptr<spdlog::sinks::dist_sink_mt> sinks_;
};

Status EnterNamespace(const std::string& name) {
  if (name.empty()) return {};
  const bool number = name.find_first_not_of("0123456789") == std::string::npos;
  const std::string path = number ? fmt::format("/proc/{}/ns/mnt", name) : name;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fail(FromErrno(errno, "-N " + path));
  const int result = setns(fd, CLONE_NEWNS);
  const int error = errno;
  close(fd);
  if (result != 0) return Fail(FromErrno(error, "-N " + path));
  return {};
}

// The kernel shows mounts by their path without links; and the daemon changes its directory.
Result<std::string> ResolveDirectory(const std::string& directory) {
  const std::unique_ptr<char, decltype(&free)> real(realpath(directory.c_str(), nullptr), &free);
  if (real == nullptr) return Fail(FromErrno(errno, directory));
  struct stat values {};
  if (stat(real.get(), &values) != 0) return Fail(FromErrno(errno, directory));
  if (!S_ISDIR(values.st_mode))
    return Fail(ErrorCode::kNotDirectory, "{}: not a directory", directory);
  return std::string(real.get());
}

void PrepareProcess(const MountOptions& options) {
  // By default each worker thread has a heap of its own, and in bursts of short-lived blocks each
  // of them keeps 20 MiB that it does not use.
  constexpr int kMostHeaps = 3;
  mallopt(M_ARENA_MAX, kMostHeaps);
  // Memory reclaim must not wait for writes that only this process can do. Needs privilege; a
  // user's mount goes on without.
  prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  // The key must not reach a core file or a debugger.
  if (!options.mirrors.empty() && !options.no_auth) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

ReplicationOptions ToReplicationOptions(const MountOptions& options) {
  ReplicationOptions out;
  out.mirrors = options.mirrors;
  if (!options.no_auth)
    out.key_file = options.key_file.empty() ? kDefaultKeyPath : options.key_file;
  out.fabric = options.fabric;
  out.mirror_timeout = options.mirror_timeout;
  out.degraded = options.degraded;
  out.no_auth = options.no_auth;
  // One line that a person watches; scripts find the begin and the end in the log.
  if (isatty(STDERR_FILENO) != 0) {
    out.progress = [](const std::string& line) {
      fmt::print(stderr, "\rmount.mirdax: {}\x1b[K", line);
    };
  }
  return out;
}

// A pool that is open, recovered, and has its mirrors in sync.
struct Copy {
  std::unique_ptr<Pool> pool;
  std::unique_ptr<PrivateStore> private_store;
  std::unique_ptr<PrimaryReplication> replication;  // null on a read-only mount
};

Result<Copy> OpenCopy(const MountOptions& options, Clock& clock, Random& random) {
  Copy copy;
  PoolOptions pool_options;
  pool_options.access = options.read_only ? PoolAccess::kSnapshot : PoolAccess::kExclusive;
  pool_options.pm = options.pm;
  pool_options.pm_seed = options.pm_seed;
  MIRDAX_ASSIGN(copy.pool, Pool::Open(options.pool, pool_options));
  MIRDAX_ASSIGN(copy.private_store, PrivateStore::Open(copy.pool->region()));
  MIRDAX_TRY(RecoverPool(*copy.pool, *copy.private_store));
  if (!options.read_only) {
    MIRDAX_ASSIGN(copy.replication,
                  PrimaryReplication::Connect(*copy.pool, *copy.private_store,
                                              ToReplicationOptions(options), clock, random));
  }
  return copy;
}

MountReport Report(const MountOptions& options, const std::string& directory, const Copy& copy,
                   const Volume& volume) {
  MountReport report;
  report.pid = getpid();
  report.pool = options.pool;
  report.directory = directory;
  report.superblock = copy.pool->superblock();
  report.private_block = copy.private_store->Get();
  report.volume = volume.GetStatus();
  report.granularity = copy.pool->region().granularity();
  report.pm = options.pm;
  report.read_only = options.read_only;
  if (copy.replication == nullptr) return report;
  for (MirrorStatus& mirror : copy.replication->mirrors()) {
    report.mirrors.push_back(MirrorReport{.address = std::move(mirror.address),
                                          .copy_uuid = std::move(mirror.copy_uuid),
                                          .state = std::move(mirror.state),
                                          .acked = mirror.acked,
                                          .applied = mirror.applied,
                                          .method = std::move(mirror.method),
                                          .reason = std::move(mirror.reason),
                                          .since = mirror.since});
  }
  return report;
}

// The mount from mount(2) to its end. The volume is still to be unmounted afterwards.
Status ServeMount(const MountOptions& options, const std::string& directory, const Copy& copy,
                  Volume& volume, Clock& clock, Daemon& daemon, Log& log) {
  Front front{.volume = volume,
              .clock = clock,
              .direct_io = options.direct_io,
              .writeback = options.writeback,
              .on_ready = {},
              .kill_privileges = false,
              .init_unanswered = true};
  front.on_ready = [&] {
    spdlog::info("{}: mounted on {}", options.pool, directory);
    if (!options.foreground) log.GoToSyslog();
    daemon.Ready();
  };
  MIRDAX_ASSIGN(const std::unique_ptr<Session> session,
                Session::Mount(front, SessionOptions{.source = options.pool,
                                                     .directory = directory,
                                                     .read_only = options.read_only,
                                                     .allow_other = options.allow_other,
                                                     .max_threads = options.max_threads,
                                                     .kernel_flags = options.kernel_flags}));
  MIRDAX_ASSIGN(const DeviceNumber device, session->device());
  Result<std::unique_ptr<StatusSocket>> socket = StatusSocket::Open(StatusSocketPath(device), [&] {
    return RenderStatus(Report(options, directory, copy, volume));
  });
  if (!socket)
    spdlog::warn("no status socket, so `mirdax status {}` will not work: {}", directory,
                 socket.error().message);
  return session->Serve();
}

int Run(const MountOptions& options, const std::string& directory) {
  Result<std::unique_ptr<Daemon>> daemon = Daemon::Start(options.foreground);
  if (!daemon) return FailWith(kMountSystem, daemon.error());
  Session::BlockSignals();
  BadRanges::InstallHandler();
  PrepareProcess(options);
  Log log(options);
  SystemClock clock;
  SystemRandom random;

  Result<Copy> copy = OpenCopy(options, clock, random);
  if (!copy) return FailWith(kMountFailure, copy.error());
  NoReplication none;
  ReplicationSink& sink =
      copy->replication ? static_cast<ReplicationSink&>(*copy->replication) : none;
  const VolumeOptions volume_options{.read_only = options.read_only,
                                     .sync_always = options.sync_always,
                                     .noatime = options.noatime,
                                     .commit_interval = options.commit_interval,
                                     .background = true};
  Result<std::unique_ptr<Volume>> volume =
      Volume::Mount(*copy->pool, *copy->private_store, sink, clock, random, volume_options);
  if (!volume) return FailWith(kMountFailure, volume.error());

  const Status served = ServeMount(options, directory, *copy, **volume, clock, **daemon, log);
  if (!served) spdlog::error("{}: {}", options.pool, served.error().message);
  const Status ended = (*volume)->Unmount();
  if (!ended) {
    spdlog::error("{}: not unmounted cleanly, the next mount will recover: {}", options.pool,
                  ended.error().message);
  }
  volume->reset();
  if (copy->replication) copy->replication->Close();
  return served && ended ? kMountOk : kMountFailure;
}

int Main(int argc, char** argv) {
  Result<MountCommand> command = ParseMountCommand(
      std::span<const char* const>(argv, static_cast<size_t>(argc)), geteuid() == 0);
  if (!command) return FailWith(kMountUsage, command.error());
  if (command->action == MountCommand::Action::kPrint) {
    fmt::print("{}", command->text);
    return kMountOk;
  }
  for (const std::string& warning : command->warnings)
    fmt::print(stderr, "mount.mirdax: {}\n", warning);
  if (const Status entered = EnterNamespace(command->options.mount_namespace); !entered)
    return FailWith(kMountFailure, entered.error());
  const Result<std::string> directory = ResolveDirectory(command->options.directory);
  if (!directory) return FailWith(kMountFailure, directory.error());
  return Run(command->options, *directory);
}

}  // namespace
}  // namespace mirdax

int main(int argc, char** argv) {
  return mirdax::RunProgram("mount.mirdax", mirdax::kMountFailure,
                            [&] { return mirdax::Main(argc, argv); });
}
