// SPDX-License-Identifier: BSD-2-Clause
// What the word after `mirdax status` means.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "fs/base/result.h"
#include "fs/fuse/mount_table.h"

namespace mirdax::ctl {

struct Target {
  enum class Kind : uint8_t { kMount, kMirror, kPool };
  Kind kind = Kind::kPool;
  std::string name;     // the mount point, the address, the pool's path
  DeviceNumber device;  // of a mount
};

// Mount points are found in `mountinfo` by name, before anything is asked of the path itself: a
// mount whose daemon hangs must not hang its status (R10). Only the directories above it are looked
// up, for symbolic links.
// Errors: kInvalid (a directory that is no mount point), kNotFound.
Result<Target> ParseTarget(const std::string& text, std::string_view mountinfo);

}  // namespace mirdax::ctl
