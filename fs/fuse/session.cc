// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/session.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include "fs/fuse/handlers.h"
#include "fs/fuse/init_reply.h"

namespace mirdax {
namespace {

constexpr int kWakeSignal = SIGUSR2;
constexpr auto kPatience = std::chrono::seconds(2);  // for the loop to end after umount(2)
constexpr long kTickNanoseconds = 50'000'000;
constexpr int kReadAheadKib = 4096;  // several requests of 1 MiB on their way

sigset_t EndSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal_number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal_number);
  return set;
}

// libfuse splits its options at commas.
std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ',' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::vector<std::string> Arguments(const SessionOptions& options) {
  // The mount's flags come first, so that suid and dev can override libfuse's nosuid, nodev.
  std::string list = options.read_only ? "ro" : "rw";
  for (const std::string& flag : options.kernel_flags) list += "," + flag;
  list += ",default_permissions,subtype=mirdax,fsname=" + Escaped(options.source);
  if (options.allow_other) list += ",allow_other";
  return {"mount.mirdax", "-o", list};
}

}  // namespace

void Session::BlockSignals() {
  const sigset_t set = EndSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // Its arrival alone interrupts the main thread's wait.
  struct sigaction wake {};
  wake.sa_handler = [](int) {};
  sigaction(kWakeSignal, &wake, nullptr);
}

Result<std::unique_ptr<Session>> Session::Mount(Front& front, const SessionOptions& options) {
  std::vector<std::string> words = Arguments(options);
  std::vector<char*> argv;
  argv.reserve(words.size());
  for (std::string& word : words) argv.push_back(word.data());
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
  fuse_session* raw = fuse_session_new(&args, &Operations(), sizeof(fuse_lowlevel_ops), &front);
  fuse_opt_free_args(&args);
  if (raw == nullptr)
    return Fail(ErrorCode::kInvalid, "{}: libfuse refuses the mount options", options.directory);
  std::unique_ptr<Session> session(new Session(options, raw));
  // libfuse writes the kernel's reason to stderr itself.
  if (fuse_session_mount(raw, options.directory.c_str()) != 0) {
    return Fail(ErrorCode::kIo,
                "{}: cannot mount here; the line above says why (is the fuse module loaded, and "
                "may this user mount?)",
                options.directory);
  }
  session->mounted_ = true;
  MIRDAX_TRY(InterceptInitReply(raw));
  return session;
}

Session::~Session() {
  if (mounted_) fuse_session_unmount(session_);
  fuse_session_destroy(session_);
}

Result<DeviceNumber> Session::device() const {
  const std::optional<DeviceNumber> found = FindMount(ReadMountTable(), options_.directory);
  if (!found) {
    return Fail(ErrorCode::kNotFound, "{}: not in /proc/self/mountinfo; was it unmounted already?",
                options_.directory);
  }
  return *found;
}

Status Session::Serve() {
  main_thread_ = pthread_self();
  supervisor_ = std::thread([this] { Watch(); });
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_max_threads(config, options_.max_threads);
  // Threads that wait cost nothing; making them anew for each burst does.
  fuse_loop_cfg_set_idle_threads(config, options_.max_threads);
  const int result = fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  served_ = true;
  supervisor_.join();
  if (result < 0) return Fail(FromErrno(-result, "serving the mount"));
  return {};
}

// sigtimedwait() sees the blocked signals whichever thread they were sent to.
void Session::Watch() {
  const sigset_t set = EndSignals();
  int ticks = 0;
  while (!served_) {
    const timespec tick{.tv_sec = 0, .tv_nsec = kTickNanoseconds};
    const int signal_number = sigtimedwait(&set, nullptr, &tick);
    // The kernel sets its default while it handles our answer to INIT: a moment after the start.
    if (++ticks == 1 || ticks == 20) RaiseReadAhead();
    if (signal_number > 0) EndServing(signal_number);
  }
}

void Session::RaiseReadAhead() const {
  const Result<DeviceNumber> number = device();
  if (!number) return;
  std::ofstream file(
      fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", number->major, number->minor));
  file << kReadAheadKib;  // best effort: needs root
}

void Session::EndServing(int signal_number) {
  spdlog::info("{}: ending on signal {}", options_.directory, signal_number);
  // Served by the workers; this thread holds nothing that they need (R10).
  if (umount2(options_.directory.c_str(), UMOUNT_NOFOLLOW) != 0) {
    spdlog::info("{}: in use or not ours to unmount ({}); detaching", options_.directory,
                 strerror(errno));
  } else {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!served_ && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::nanoseconds(kTickNanoseconds));
  }
  fuse_session_exit(session_);
  while (!served_) {
    pthread_kill(main_thread_, kWakeSignal);
    std::this_thread::sleep_for(std::chrono::nanoseconds(kTickNanoseconds));
  }
}

}  // namespace mirdax
