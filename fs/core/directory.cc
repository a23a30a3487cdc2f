// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/directory.h"

#include <algorithm>
#include <bitset>
#include <cstring>
#include <optional>

#include "fs/base/check.h"
#include "fs/core/directory_editor.h"
#include "fs/format/node_views.h"

namespace mirdax {
namespace {

const DirRoot& RootOf(const InodeDisk& dir) noexcept {
  return *reinterpret_cast<const DirRoot*>(dir.payload.data());
}

// A leaf read in place.
struct Leaf {
  DirLeafView view;
  BlockView pin;
  DirKey end = 0;  // keys from here on lie in the next leaf
};

// The leaf that holds `key`. REQUIRES: the directory is not empty.
Result<Leaf> Descend(MetaReader& reader, const InodeDisk& dir, DirKey key) {
  const BlockNo root = RootOf(dir).root;
  MIRDAX_ASSIGN(BlockView pin, reader.Read(root, BlockKind::kNode));
  MIRDAX_ASSIGN(NodePlace place, DirRootPlace(pin.bytes(), root, dir.ino));
  while (place.level > 0) {
    MIRDAX_ASSIGN(const auto view, DirIndexView::Of(pin.bytes(), place, reader.geometry()));
    place = view.ChildPlace(view.ChildFor(key));
    MIRDAX_ASSIGN(pin, reader.Read(place.self, BlockKind::kNode));
  }
  MIRDAX_ASSIGN(const auto leaf, DirLeafView::Of(pin.bytes(), place, reader.geometry()));
  return Leaf{leaf, std::move(pin), place.keys.end};
}

// Visits the entries with keys in [first, end), in order, until `visit` returns false. The names
// are good during the call only.
template <typename Visit>
Status ForEachEntry(MetaReader& reader, const InodeDisk& dir, DirKey first, DirKey end,
                    const Visit& visit) {
  if (RootOf(dir).root == 0) return {};
  for (DirKey at = first; at < end;) {
    MIRDAX_ASSIGN(const Leaf leaf, Descend(reader, dir, at));
    for (size_t i = leaf.view.LowerBound(at); i < leaf.view.count(); ++i) {
      const DirEntryView entry = leaf.view.entry(i);
      if (entry.key >= end || !visit(entry)) return {};
    }
    at = leaf.end;
  }
  return {};
}

}  // namespace

Result<DirSlot> Directory::Lookup(MetaReader& reader, const InodeDisk& dir,
                                  std::string_view name) const {
  const DirKey hash = DirHash(seed_, name);
  std::optional<DirSlot> found;
  MIRDAX_TRY(ForEachEntry(reader, dir, hash, hash + kDirCollisions, [&](const DirEntryView& entry) {
    if (entry.name == name) found = DirSlot{entry.ino, entry.type, entry.key};
    return !found;
  }));
  if (!found) return Fail(ErrorCode::kNotFound);
  return *found;
}

Result<DirKey> Directory::Insert(Tx& tx, InodeDisk& dir, std::string_view name, Ino ino,
                                 uint8_t type) {
  MIRDAX_CHECK(!name.empty() && name.size() <= kMaxNameLength);
  const DirKey hash = DirHash(seed_, name);
  DirKey key = hash;  // the lowest one that is free
  bool exists = false;
  MIRDAX_TRY(
      ForEachEntry(tx.reader(), dir, hash, hash + kDirCollisions, [&](const DirEntryView& entry) {
        exists = entry.name == name;
        if (entry.key == key) ++key;
        return !exists;
      }));
  if (exists) return Fail(ErrorCode::kExists);
  if (key == hash + kDirCollisions)
    return Fail(ErrorCode::kNoSpace, "inode {}: {} names share one hash", dir.ino, kDirCollisions);
  DirectoryEditor editor(tx, allocator_, dir);
  MIRDAX_TRY(editor.Load(key));
  MIRDAX_TRY(editor.Insert({key, ino, type, name}));
  MIRDAX_TRY(editor.Apply(dir, 1));
  return key;
}

Result<DirSlot> Directory::Remove(Tx& tx, InodeDisk& dir, std::string_view name) {
  MIRDAX_ASSIGN(const DirSlot slot, Lookup(tx.reader(), dir, name));
  DirectoryEditor editor(tx, allocator_, dir);
  MIRDAX_TRY(editor.Load(slot.key));
  MIRDAX_TRY(editor.Remove(slot.key));
  MIRDAX_TRY(editor.Apply(dir, -1));
  return slot;
}

Result<DirSlot> Directory::Replace(Tx& tx, const InodeDisk& dir, std::string_view name, Ino ino,
                                   uint8_t type) {
  MIRDAX_ASSIGN(const DirSlot slot, Lookup(tx.reader(), dir, name));
  DirectoryEditor editor(tx, allocator_, dir);
  MIRDAX_TRY(editor.Load(slot.key));
  editor.Replace(slot.key, ino, type);
  InodeDisk unchanged = dir;  // a replacement moves no block and no count
  MIRDAX_TRY(editor.Apply(unchanged, 0));
  return slot;
}

Result<std::vector<DirName>> Directory::Next(MetaReader& reader, const InodeDisk& dir, DirKey after,
                                             size_t max) const {
  std::vector<DirName> names;
  if (after >= kDirKeyMax || max == 0) return names;
  MIRDAX_TRY(ForEachEntry(reader, dir, after + 1, kDirKeyMax + 1, [&](const DirEntryView& entry) {
    names.push_back({std::string(entry.name), {entry.ino, entry.type, entry.key}});
    return names.size() < max;
  }));
  return names;
}

uint64_t Directory::EntryCount(const InodeDisk& dir) noexcept { return RootOf(dir).entry_count; }

}  // namespace mirdax
