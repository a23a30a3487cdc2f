// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/daemonize.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace mirdax {
namespace {

// In the parent: never returns. The child has already said what went wrong, unless a signal
// ended it.
[[noreturn]] void ExitAsChildReports(pid_t child, int pipe_fd) {
  char code = 0;
  ssize_t got = 0;
  do {
    got = read(pipe_fd, &code, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) _exit(code);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "mount.mirdax: the daemon was ended by signal %d (%s) before it could mount\n",
            WTERMSIG(status), strsignal(WTERMSIG(status)));
    _exit(kMountFailure);
  }
  _exit(WEXITSTATUS(status));
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::Start(bool foreground) {
  if (foreground) return std::unique_ptr<Daemon>(new Daemon(-1));
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Fail(FromErrno(errno, "making a pipe"));
  const pid_t child = fork();
  if (child < 0) return Fail(FromErrno(errno, "making the daemon's process"));
  if (child > 0) {
    close(ends[1]);
    ExitAsChildReports(child, ends[0]);
  }
  close(ends[0]);
  setsid();
  if (chdir("/") != 0) return Fail(FromErrno(errno, "changing to /"));
  return std::unique_ptr<Daemon>(new Daemon(ends[1]));
}

Daemon::~Daemon() {
  if (pipe_fd_ >= 0) close(pipe_fd_);
}

void Daemon::Ready() {
  if (pipe_fd_ < 0) return;
  const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (null_fd >= 0) dup2(null_fd, fd);
  if (null_fd > STDERR_FILENO) close(null_fd);
  const char code = kMountOk;
  while (write(pipe_fd_, &code, 1) < 0 && errno == EINTR) {
  }
  close(pipe_fd_);
  pipe_fd_ = -1;
}

}  // namespace mirdax
