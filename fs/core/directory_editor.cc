// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/directory_editor.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "fs/base/check.h"

namespace mirdax {
namespace {

constexpr size_t kLeafSpace = kBlockSize - sizeof(BlockHeader);
constexpr size_t kSmallLeaf = kLeafSpace / 4;       // try to merge below this
constexpr size_t kMergedLeaf = kLeafSpace * 3 / 4;  // and leave some room when done
constexpr size_t kSmallIndex = kDirIndexEntries / 4;
constexpr size_t kMergedIndex = kDirIndexEntries * 3 / 4;

constexpr size_t SpaceOf(const DirEntryView& entry) noexcept {
  return DirEntrySize(entry.name.size()) + sizeof(uint16_t);
}

size_t SpaceOf(const DirLeafView& leaf) noexcept {
  return leaf.heap_used() + leaf.count() * sizeof(uint16_t);
}

BlockHeader& HeaderOf(std::span<std::byte, kBlockSize> block) noexcept {
  return *reinterpret_cast<BlockHeader*>(block.data());
}

uint16_t* SlotsOf(std::span<std::byte, kBlockSize> block) noexcept {
  return reinterpret_cast<uint16_t*>(block.data() + sizeof(BlockHeader));
}

}  // namespace

DirectoryEditor::DirectoryEditor(Tx& tx, Allocator& allocator, const InodeDisk& dir)
    : tx_(tx),
      edit_(tx, allocator, dir.ino),
      root_(reinterpret_cast<const DirRoot*>(dir.payload.data())->root),
      owner_(dir.ino) {}

Status DirectoryEditor::Load(DirKey key) {
  MIRDAX_CHECK(path_.empty() && !leaf_);
  if (root_ == 0) return {};
  MIRDAX_ASSIGN(auto bytes, edit_.Read(root_));
  MIRDAX_ASSIGN(NodePlace place, DirRootPlace(bytes, root_, owner_));
  while (place.level > 0) {
    MIRDAX_ASSIGN(const auto view, DirIndexView::Of(bytes, place, geometry()));
    const size_t child = view.ChildFor(key);
    path_.push_back({place, {view.entries().begin(), view.entries().end()}, child});
    place = view.ChildPlace(child);
    MIRDAX_ASSIGN(bytes, edit_.Read(place.self));
  }
  MIRDAX_TRY(DirLeafView::Of(bytes, place, geometry()));
  leaf_ = place;
  return {};
}

Status DirectoryEditor::Insert(const DirEntryView& entry) {
  if (!leaf_) {
    MIRDAX_ASSIGN(root_, edit_.Create(BlockType::kDirLeaf, 0, 0));
    WriteLeaf(root_, {entry});
    return {};
  }
  MIRDAX_ASSIGN(const auto bytes, edit_.Read(leaf_->self));
  MIRDAX_ASSIGN(const auto leaf, DirLeafView::Of(bytes, *leaf_, geometry()));
  if (SpaceOf(leaf) + SpaceOf(entry) > kLeafSpace) return SplitLeaf(leaf, entry);
  if (sizeof(BlockHeader) + leaf.count() * sizeof(uint16_t) + SpaceOf(entry) > leaf.heap_start())
    WriteLeaf(leaf_->self, EntriesOf(leaf));  // closes the gaps
  AddTo(edit_.Edit(leaf_->self), entry);
  return {};
}

Status DirectoryEditor::Remove(DirKey key) {
  MIRDAX_CHECK(leaf_);
  MIRDAX_ASSIGN(const auto bytes, edit_.Read(leaf_->self));
  MIRDAX_ASSIGN(const auto leaf, DirLeafView::Of(bytes, *leaf_, geometry()));
  const size_t at = leaf.LowerBound(key);
  MIRDAX_CHECK(at < leaf.count() && leaf.entry(at).key == key);
  const size_t depth = path_.size();
  if (leaf.count() == 1) {
    edit_.Discard(leaf_->self);
    return DropChild(depth, ChildAt(depth), 0);
  }
  if (SpaceOf(leaf) - SpaceOf(leaf.entry(at)) < kSmallLeaf && depth > 0) {
    for (const size_t neighbour : {ChildAt(depth) + 1, ChildAt(depth) - 1}) {
      if (neighbour >= path_.back().entries.size()) continue;  // below 0 it wraps around
      MIRDAX_ASSIGN(const bool merged, TryMergeLeaf(leaf, key, neighbour));
      if (merged) return {};
    }
  }
  const auto image = edit_.Edit(leaf_->self);
  uint16_t* slots = SlotsOf(image);
  BlockHeader& header = HeaderOf(image);
  std::copy(slots + at + 1, slots + header.count, slots + at);
  --header.count;
  header.heap_start = *std::min_element(slots, slots + header.count);
  return {};
}

void DirectoryEditor::Replace(DirKey key, Ino ino, uint8_t type) {
  MIRDAX_CHECK(leaf_);
  const auto image = edit_.Edit(leaf_->self);
  for (size_t i = 0; i < HeaderOf(image).count; ++i) {
    auto& entry = *reinterpret_cast<DirEntryHeader*>(image.data() + SlotsOf(image)[i]);
    if (entry.key != key) continue;
    entry.ino = ino;
    entry.type = type;
    return;
  }
  MIRDAX_CHECK(false);
}

Status DirectoryEditor::Apply(InodeDisk& dir, int entries_delta) {
  MIRDAX_TRY(LowerRoot());
  DirRoot root;
  std::memcpy(&root, dir.payload.data(), sizeof(root));
  root.root = root_;
  root.entry_count += static_cast<uint64_t>(static_cast<int64_t>(entries_delta));
  const int64_t delta = edit_.block_delta();
  const uint64_t size = dir.size + static_cast<uint64_t>(delta) * kBlockSize;
  const uint64_t blocks = dir.blocks + static_cast<uint64_t>(delta);
  if ((root.root == 0) != (root.entry_count == 0) || size > kMaxFileSize || blocks > kMaxFileBlocks)
    return Fail(ErrorCode::kCorrupt, "inode {}: the directory's tree and its counts disagree",
                dir.ino);
  MIRDAX_TRY(edit_.Apply());
  std::memcpy(dir.payload.data(), &root, sizeof(root));
  dir.size = size;
  dir.blocks = blocks;
  return {};
}

// --- leaves ---

DirectoryEditor::EntryList DirectoryEditor::EntriesOf(const DirLeafView& leaf) {
  EntryList entries;
  entries.reserve(leaf.count() + 1);
  for (size_t i = 0; i < leaf.count(); ++i) entries.push_back(leaf.entry(i));
  return entries;
}

Status DirectoryEditor::SplitLeaf(const DirLeafView& leaf, const DirEntryView& entry) {
  EntryList entries = EntriesOf(leaf);
  entries.insert(entries.begin() + static_cast<ptrdiff_t>(leaf.LowerBound(entry.key)), entry);
  size_t total = 0;
  for (const DirEntryView& each : entries) total += SpaceOf(each);
  size_t left = 0;
  for (size_t space = 0; space + SpaceOf(entries[left]) <= total / 2; ++left)
    space += SpaceOf(entries[left]);
  left = std::max<size_t>(left, 1);
  MIRDAX_ASSIGN(const BlockNo right, edit_.Create(BlockType::kDirLeaf, 0, leaf_->self));
  const auto middle = entries.begin() + static_cast<ptrdiff_t>(left);
  const DirKey separator = middle->key;
  WriteLeaf(right, {middle, entries.end()});
  WriteLeaf(leaf_->self, {entries.begin(), middle});
  return AddChild(path_.size(), {separator, right}, 0);
}

// Moves the leaf's entries but `without` and its neighbour's into the left one of the two, if there
// is room.
Result<bool> DirectoryEditor::TryMergeLeaf(const DirLeafView& leaf, DirKey without,
                                           size_t neighbour) {
  const Pair pair = PairOf(path_.size(), neighbour, 0);
  MIRDAX_ASSIGN(const auto bytes, edit_.Read(pair.neighbour.self));
  MIRDAX_ASSIGN(const auto other, DirLeafView::Of(bytes, pair.neighbour, geometry()));
  if (SpaceOf(leaf) + SpaceOf(other) > kMergedLeaf) return false;
  EntryList entries = EntriesOf(leaf);
  std::erase_if(entries, [without](const DirEntryView& entry) { return entry.key == without; });
  const EntryList others = EntriesOf(other);
  entries.insert(pair.neighbour_is_right ? entries.end() : entries.begin(), others.begin(),
                 others.end());
  WriteLeaf(pair.left, entries);
  edit_.Discard(pair.right);
  MIRDAX_TRY(DropChild(path_.size(), pair.right_index, 0));
  return true;
}

// Rebuilds a leaf without gaps. The names may lie in the block itself.
void DirectoryEditor::WriteLeaf(BlockNo block, const EntryList& entries) {
  std::array<std::byte, kBlockSize> built{};
  const auto image = edit_.Edit(block);
  std::memcpy(built.data(), image.data(), sizeof(BlockHeader));
  HeaderOf(built).count = 0;
  HeaderOf(built).heap_start = kBlockSize;
  for (const DirEntryView& entry : entries) AddTo(built, entry);
  std::memcpy(image.data(), built.data(), kBlockSize);
}

// REQUIRES: there is room between the slots and the heap.
void DirectoryEditor::AddTo(std::span<std::byte, kBlockSize> image, const DirEntryView& entry) {
  BlockHeader& header = HeaderOf(image);
  const size_t size = DirEntrySize(entry.name.size());
  const size_t offset = header.heap_start - size;
  MIRDAX_CHECK(header.heap_start >= size &&
               offset >= sizeof(BlockHeader) + (header.count + size_t{1}) * sizeof(uint16_t));
  std::byte* at = image.data() + offset;
  std::memset(at, 0, size);
  const DirEntryHeader head{
      entry.key, entry.ino, entry.type, static_cast<uint8_t>(entry.name.size()), {}};
  std::memcpy(at, &head, sizeof(head));
  std::memcpy(at + sizeof(head), entry.name.data(), entry.name.size());
  uint16_t* slots = SlotsOf(image);
  uint16_t* end = slots + header.count;
  uint16_t* slot = std::lower_bound(slots, end, entry.key, [&](uint16_t other, DirKey key) {
    return reinterpret_cast<const DirEntryHeader*>(image.data() + other)->key < key;
  });
  std::copy_backward(slot, end, end + 1);
  *slot = static_cast<uint16_t>(offset);
  header.heap_start = static_cast<uint16_t>(offset);
  ++header.count;
}

// --- index nodes ---

DirectoryEditor::IndexList DirectoryEditor::ChildrenAt(size_t depth) const {
  return depth == 0 ? IndexList{{0, root_}} : path_[depth - 1].entries;
}

Status DirectoryEditor::AddChild(size_t depth, DirIndexEntry entry, uint16_t level) {
  IndexList entries = ChildrenAt(depth);
  entries.insert(entries.begin() + static_cast<ptrdiff_t>(ChildAt(depth)) + 1, entry);
  return StoreChildren(depth, std::move(entries), level);
}

Status DirectoryEditor::DropChild(size_t depth, size_t child, uint16_t level) {
  IndexList entries = ChildrenAt(depth);
  const auto at = entries.begin() + static_cast<ptrdiff_t>(child);
  entries.erase(at);
  return StoreChildren(depth, std::move(entries), level);
}

Status DirectoryEditor::StoreChildren(size_t depth, IndexList entries, uint16_t level) {
  const auto own_level = static_cast<uint16_t>(level + 1);
  if (depth == 0) {
    if (entries.size() <= 1) {
      root_ = entries.empty() ? 0 : entries.front().child;
      return {};
    }
    if (own_level > kMaxTreeLevel)
      return Fail(ErrorCode::kNoSpace, "inode {}: its tree cannot grow higher", owner_);
    MIRDAX_ASSIGN(root_, edit_.Create(BlockType::kDirIndex, own_level, root_));
    WriteIndex(root_, entries);
    return {};
  }
  const Step& step = path_[depth - 1];
  if (entries.empty()) {
    edit_.Discard(step.place.self);
    return DropChild(depth - 1, ChildAt(depth - 1), own_level);
  }
  if (entries.size() > kDirIndexEntries) return SplitIndex(depth, entries);
  if (entries.size() < kSmallIndex && entries.size() < step.entries.size() && depth > 1) {
    for (const size_t neighbour : {ChildAt(depth - 1) + 1, ChildAt(depth - 1) - 1}) {
      if (neighbour >= path_[depth - 2].entries.size()) continue;  // below 0 it wraps around
      MIRDAX_ASSIGN(const bool merged, TryMergeIndex(depth, entries, neighbour));
      if (merged) return {};
    }
  }
  WriteIndex(step.place.self, entries);
  return {};
}

Status DirectoryEditor::SplitIndex(size_t depth, const IndexList& entries) {
  const NodePlace& place = path_[depth - 1].place;
  const auto right = std::span(entries).subspan(entries.size() / 2);
  MIRDAX_ASSIGN(const BlockNo block, edit_.Create(BlockType::kDirIndex, place.level, place.self));
  WriteIndex(block, right);
  WriteIndex(place.self, std::span(entries).first(entries.size() / 2));
  return AddChild(depth - 1, {right.front().key, block}, place.level);
}

// Moves `entries`, the new content of the node at path_[depth - 1], and its neighbour into the left
// one of the two, if there is room.
Result<bool> DirectoryEditor::TryMergeIndex(size_t depth, const IndexList& entries,
                                            size_t neighbour) {
  const uint16_t level = path_[depth - 1].place.level;
  const Pair pair = PairOf(depth - 1, neighbour, level);
  MIRDAX_ASSIGN(const auto bytes, edit_.Read(pair.neighbour.self));
  MIRDAX_ASSIGN(const auto view, DirIndexView::Of(bytes, pair.neighbour, geometry()));
  if (entries.size() + view.entries().size() > kMergedIndex) return false;
  const IndexList other(view.entries().begin(), view.entries().end());
  IndexList merged = pair.neighbour_is_right ? entries : other;
  const IndexList& tail = pair.neighbour_is_right ? other : entries;
  const size_t seam = merged.size();
  merged.insert(merged.end(), tail.begin(), tail.end());
  // The first child of the right node begins where the node did; in the middle it has to say so.
  merged[seam].key = pair.separator;
  WriteIndex(pair.left, merged);
  edit_.Discard(pair.right);
  MIRDAX_TRY(DropChild(depth - 1, pair.right_index, level));
  return true;
}

DirectoryEditor::Pair DirectoryEditor::PairOf(size_t depth, size_t neighbour,
                                              uint16_t level) const {
  const Step& parent = path_[depth - 1];
  const IndexList& entries = parent.entries;
  const size_t left = std::min(parent.child, neighbour);
  const size_t right = left + 1;
  const DirKey begin = left == 0 ? parent.place.keys.first : entries[left].key;
  const DirKey end = right + 1 == entries.size() ? parent.place.keys.end : entries[right + 1].key;
  const bool is_right = neighbour == right;
  const KeyRange keys =
      is_right ? KeyRange{entries[right].key, end} : KeyRange{begin, entries[right].key};
  return {entries[left].child,
          entries[right].child,
          right,
          entries[right].key,
          {entries[neighbour].child, owner_, level, keys},
          is_right};
}

void DirectoryEditor::WriteIndex(BlockNo block, std::span<const DirIndexEntry> entries) {
  MIRDAX_CHECK(!entries.empty() && entries.size() <= kDirIndexEntries);
  auto& node = *reinterpret_cast<DirIndexNode*>(edit_.Edit(block).data());
  node.header.count = static_cast<uint16_t>(entries.size());
  std::copy(entries.begin(), entries.end(), node.entries.begin());
}

// While the root has one child, that takes its place.
Status DirectoryEditor::LowerRoot() {
  while (root_ != 0) {
    MIRDAX_ASSIGN(const auto bytes, edit_.Read(root_));
    MIRDAX_ASSIGN(const NodePlace place, DirRootPlace(bytes, root_, owner_));
    if (place.level == 0 || reinterpret_cast<const BlockHeader*>(bytes.data())->count != 1) break;
    MIRDAX_ASSIGN(const auto view, DirIndexView::Of(bytes, place, geometry()));
    const BlockNo child = view.entries().front().child;
    edit_.Discard(root_);
    root_ = child;
  }
  return {};
}

}  // namespace mirdax
