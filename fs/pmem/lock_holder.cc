// SPDX-License-Identifier: BSD-2-Clause
#include "fs/pmem/lock_holder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <sstream>

namespace mirdax {

std::string DescribeLockHolder(int fd) {
  struct stat info = {};
  if (fstat(fd, &info) != 0) return "another process";
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(info.st_dev), minor(info.st_dev), info.st_ino);
  // 3: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number;
    std::string kind;
    std::string advisory;
    std::string access;
    std::string file;
    long pid = 0;
    fields >> number >> kind >> advisory >> access >> pid >> file;
    if (!fields || kind != "FLOCK" || file != wanted || pid <= 0) continue;
    std::string program;
    std::ifstream comm(fmt::format("/proc/{}/comm", pid));
    std::getline(comm, program);
    return program.empty() ? fmt::format("process {}", pid)
                           : fmt::format("process {} ({})", pid, program);
  }
  return "another process";
}

}  // namespace mirdax
