// SPDX-License-Identifier: BSD-2-Clause
// The command line of mount.mirdax: as a person types it, and as mount(8) calls its helpers.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fs/base/result.h"
#include "fs/pmem/pool.h"

namespace mirdax {

struct MountOptions {
  std::string pool;       // absolute
  std::string directory;  // as typed
  bool foreground = false;
  bool verbose = false;
  std::string mount_namespace;  // -N: path of a namespace file or a process number; may be empty

  // The set.
  std::vector<std::string> mirrors;
  std::string key_file;  // absolute; empty: the default path, unless no_auth
  bool no_auth = false;
  std::string fabric = "auto";
  std::chrono::milliseconds mirror_timeout{2000};
  bool degraded = false;

  // The engine.
  bool read_only = false;
  bool sync_always = false;
  bool noatime = false;
  std::chrono::milliseconds commit_interval{1000};
  PmMode pm = PmMode::kDirect;
  uint64_t pm_seed = 1;

  // The kernel's side.
  bool writeback = false;
  bool direct_io = false;
  bool allow_other = false;  // root's mounts: always; others: asked for
  unsigned max_threads = 10;
  std::vector<std::string> kernel_flags;  // "suid", "dev", "noexec", ... in the order given
};

struct MountCommand {
  enum class Action : uint8_t {
    kMount,
    kPrint,  // --help, --version: write `text` to stdout, exit 0
  };
  Action action = Action::kMount;
  MountOptions options;
  std::vector<std::string> warnings;  // options ignored because of -s
  std::string text;
};

// Errors: kInvalid, with what is wrong and what to write instead (exit code 1).
// Reads nothing from the disk but the working directory.
Result<MountCommand> ParseMountCommand(std::span<const char* const> arguments, bool is_root);

}  // namespace mirdax
