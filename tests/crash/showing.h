// SPDX-License-Identifier: BSD-2-Clause
// For tests of oracles: what a user would see of a state of the model.
#pragma once

#include <algorithm>

#include "tests/crash/model.h"
#include "tests/crash/observation.h"

namespace mirdax::crash {

inline Observation Showing(const State& state) {
  Observation seen;
  uint64_t blocks = 0;
  for (const auto& [id, node] : state.nodes()) {
    if (node.nlink == 0) continue;
    SeenNode& as = seen.nodes[id];
    as.attributes.mode = node.mode;
    as.attributes.uid = node.uid;
    as.attributes.gid = node.gid;
    as.attributes.nlink = node.nlink;
    as.attributes.rdev = node.rdev;
    as.attributes.atime.seconds = node.atime;
    as.attributes.mtime.seconds = node.mtime;
    as.attributes.ctime.seconds = node.ctime;
    as.target = node.target;
    as.xattrs = node.xattrs;
    if (node.data) {
      as.bytes = node.data->bytes();
      for (uint64_t block = 0; block < node.data->blocks(); ++block)
        as.blocks.push_back(node.data->StateOf(block));
    }
    for (const auto& [name, child] : node.entries) as.entries[name] = child;
    as.parent = node.parent;
    const auto data =
        std::ranges::count_if(as.blocks, [](BlockState each) { return each != BlockState::kHole; });
    const uint64_t occupied =
        static_cast<uint64_t>(data) + (as.xattrs.empty() ? 0 : 1) + (as.entries.empty() ? 0 : 1);
    as.attributes.blocks = occupied * 8;
    blocks += occupied;
  }
  seen.space = {.blocks = 1000,
                .blocks_free = 1000 - blocks,
                .blocks_available = 900,
                .inodes = 64,
                .inodes_free = 64 - seen.nodes.size() - 1};
  return seen;
}

}  // namespace mirdax::crash
