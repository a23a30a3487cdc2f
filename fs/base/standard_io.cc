// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/standard_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace mirdax {
namespace {

void OpenStandardDescriptors() {
  // The lowest free number is what open() takes.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) std::abort();
}

}  // namespace

int RunProgram(const char* name, int output_failed, const std::function<int()>& body) {
  OpenStandardDescriptors();
  int code = output_failed;
  try {
    code = body();
  } catch (const std::system_error& error) {  // {fmt}'s way to say it; or no thread could be had
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return output_failed;
  }
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "%s: writing the output: %s\n", name,
               flushed ? "a part of it was lost" : std::strerror(errno));
  return code | output_failed;
}

}  // namespace mirdax
