// SPDX-License-Identifier: BSD-2-Clause
// Visits the entries of a directory by key.
#pragma once

#include <span>

#include "fs/format/node_views.h"
#include "fs/pmem/region.h"

namespace mirdax {

inline const DirRoot& DirRootOf(const InodeDisk& inode) noexcept {
  return *reinterpret_cast<const DirRoot*>(inode.payload.data());
}

// `enter(block)`: may the node be visited? Called before any of it is believed. True only for
// blocks
//     of the data area.
// `bad(block, error)`: the node cannot be used; what hangs below it is not visited.
// `visit(const DirEntryView&, BlockNo leaf)`: returns false to end the walk.
// The walk ends whatever the bytes are: levels descend, and `enter` bounds the number of nodes.
template <typename Enter, typename Bad, typename Visit>
class DirWalk {
 public:
  DirWalk(Region& region, const Geometry& geometry, Enter enter, Bad bad, Visit visit)
      : region_(region), geometry_(geometry), enter_(enter), bad_(bad), visit_(visit) {}

  // False when `visit` ended it.
  bool Run(Ino ino, BlockNo root) {
    if (!enter_(root)) return true;
    const auto place = DirRootPlace(Block(root), root, ino);
    if (!place) {
      bad_(root, place.error());
      return true;
    }
    return Node(*place);
  }

 private:
  std::span<const std::byte> Block(BlockNo block) {
    return {region_.At(block * kBlockSize, kBlockSize), kBlockSize};
  }

  bool Node(const NodePlace& place) {
    const std::span bytes = Block(place.self);
    if (place.level > 0) {
      const auto index = DirIndexView::Of(bytes, place, geometry_);
      if (!index) {
        bad_(place.self, index.error());
        return true;
      }
      for (size_t i = 0; i < index->entries().size(); ++i) {
        const NodePlace child = index->ChildPlace(i);
        if (enter_(child.self) && !Node(child)) return false;
      }
      return true;
    }
    const auto leaf = DirLeafView::Of(bytes, place, geometry_);
    if (!leaf) {
      bad_(place.self, leaf.error());
      return true;
    }
    for (size_t i = 0; i < leaf->count(); ++i) {
      if (!visit_(leaf->entry(i), place.self)) return false;
    }
    return true;
  }

  Region& region_;
  const Geometry& geometry_;
  Enter enter_;
  Bad bad_;
  Visit visit_;
};

}  // namespace mirdax
