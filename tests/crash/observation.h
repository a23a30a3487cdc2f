// SPDX-License-Identifier: BSD-2-Clause
// Everything a mounted volume shows: all names, attributes and bytes, as a user reads them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fs/core/volume.h"
#include "tests/crash/file_data.h"

namespace mirdax::crash {

struct SeenNode {
  Attributes attributes;
  std::string target;              // of a symlink
  std::string bytes;               // of a regular file
  std::vector<BlockState> blocks;  // of a regular file, to the last that has storage
  std::map<std::string, std::string> xattrs;
  std::map<std::string, Ino> entries;  // of a directory, without . and ..
  Ino parent = 0;                      // of a directory: its ..
};

struct Observation {
  std::map<Ino, SeenNode> nodes;  // what can be reached from the root
  SpaceReport space;
};

// Errors: the first of any call: everything must be readable. kCorrupt also when names do not form
// a tree, or listing and lookup do not agree.
Result<Observation> Observe(Volume& volume);

// Why `seen` is not what was `shown`, name by name and byte by byte; the space apart.
std::optional<std::string> Differs(const Observation& seen, const Observation& shown);

}  // namespace mirdax::crash
