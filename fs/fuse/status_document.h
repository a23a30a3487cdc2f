// SPDX-License-Identifier: BSD-2-Clause
// The status of a mount as a JSON document, the form that `mirdax status` reads and passes on.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "fs/base/clock.h"
#include "fs/base/uuid.h"
#include "fs/core/volume.h"
#include "fs/format/layout.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/region.h"

namespace mirdax {

struct MirrorReport {
  std::string address;
  std::string copy_uuid;
  std::string state;
  Lsn acked = 0;
  Lsn applied = 0;
  std::string method;
  std::string reason;
  Timestamp since;
};

struct MountReport {
  pid_t pid = 0;  // of the daemon
  std::string pool;
  std::string directory;
  Superblock superblock{};
  PrivateBlock private_block{};
  VolumeStatus volume;
  Granularity granularity = Granularity::kPage;
  PmMode pm = PmMode::kDirect;
  bool read_only = false;
  std::vector<MirrorReport> mirrors;  // connected or tried; the others are in `private_block`
};

// One line of JSON with a newline at its end. Bytes that are not UTF-8 (labels, paths) come out as
// replacement characters. Always shorter than kMaxStatusBytes: long texts are cut.
std::string RenderStatus(const MountReport& report);

inline constexpr size_t kMaxStatusBytes = size_t{64} * 1024;

}  // namespace mirdax
