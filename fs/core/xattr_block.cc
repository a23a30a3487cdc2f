// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/xattr_block.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "fs/base/check.h"
#include "fs/core/block_edit.h"
#include "fs/format/node_views.h"

namespace mirdax {
namespace {

// The block, read and checked, or nothing when the inode has none.
struct Contents {
  XattrBlockView view;
  BlockView pin;
};

Result<std::optional<Contents>> Read(MetaReader& reader, const InodeDisk& inode) {
  if (inode.xattr_block == 0) return std::nullopt;
  MIRDAX_ASSIGN(BlockView pin, reader.Read(inode.xattr_block, BlockKind::kNode));
  MIRDAX_ASSIGN(const auto view, XattrBlockView::Of(pin.bytes(), inode.xattr_block, inode.ino));
  return Contents{view, std::move(pin)};
}

// Builds the new content of a block, entry by entry.
class Builder {
 public:
  // False when there is no room left.
  bool Add(const XattrView& entry) {
    const size_t size = XattrEntrySize(entry.name.size(), entry.value.size());
    if (size > kBlockSize - end_) return false;
    const XattrEntry head{static_cast<uint16_t>(entry.value.size()), entry.space,
                          static_cast<uint8_t>(entry.name.size()), 0};
    std::byte* at = bytes_.data() + end_;
    at = std::copy(reinterpret_cast<const std::byte*>(&head),
                   reinterpret_cast<const std::byte*>(&head + 1), at);
    const auto name = std::as_bytes(std::span(entry.name));  // empty for an access list
    at = std::copy(name.begin(), name.end(), at);
    const auto value = std::as_bytes(std::span(entry.value));
    std::copy(value.begin(), value.end(), at);
    end_ += size;
    ++count_;
    return true;
  }
  bool empty() const noexcept { return count_ == 0; }

  void StoreTo(std::span<std::byte, kBlockSize> block) const {
    auto& header = *reinterpret_cast<BlockHeader*>(block.data());
    header.count = count_;
    header.heap_start = static_cast<uint16_t>(end_);
    std::memcpy(block.data() + sizeof(header), bytes_.data() + sizeof(header), kXattrSpace);
  }

 private:
  std::array<std::byte, kBlockSize> bytes_{};
  size_t end_ = sizeof(BlockHeader);
  uint16_t count_ = 0;
};

// Makes the inode's block hold what was built: allocates it, changes it, or frees it.
Status Store(Tx& tx, Allocator& allocator, InodeDisk& inode, const Builder& content) {
  BlockEdit edit(tx, allocator, inode.ino);
  BlockNo block = inode.xattr_block;
  if (block != 0) {
    MIRDAX_TRY(edit.Read(block));
  } else {
    MIRDAX_ASSIGN(block, edit.Create(BlockType::kXattr, 0, 0));
  }
  if (content.empty()) {
    edit.Discard(block);
    block = 0;
  } else {
    content.StoreTo(edit.Edit(block));
  }
  const uint64_t blocks = inode.blocks + static_cast<uint64_t>(edit.block_delta());
  if (blocks > kMaxFileBlocks)
    return Fail(ErrorCode::kCorrupt, "inode {}: it owns more blocks than its count says",
                inode.ino);
  MIRDAX_TRY(edit.Apply());
  inode.xattr_block = block;
  inode.blocks = blocks;
  return {};
}

}  // namespace

Result<std::string> XattrBlock::Get(MetaReader& reader, const InodeDisk& inode,
                                    XattrNamespace space, std::string_view name) {
  MIRDAX_ASSIGN(const auto contents, Read(reader, inode));
  std::optional<std::string> value;
  if (contents) {
    contents->view.ForEach([&](const XattrView& entry) {
      if (entry.space == space && entry.name == name) value = entry.value;
      return !value;
    });
  }
  if (!value) return Fail(ErrorCode::kNoData);
  return *std::move(value);
}

Result<std::vector<XattrName>> XattrBlock::List(MetaReader& reader, const InodeDisk& inode) {
  MIRDAX_ASSIGN(const auto contents, Read(reader, inode));
  std::vector<XattrName> names;
  if (contents) {
    contents->view.ForEach([&](const XattrView& entry) {
      names.push_back({entry.space, std::string(entry.name)});
      return true;
    });
  }
  return names;
}

Status XattrBlock::Set(Tx& tx, InodeDisk& inode, XattrNamespace space, std::string_view name,
                       std::string_view value) {
  MIRDAX_CHECK(name.size() <= kMaxNameLength);
  if (XattrEntrySize(name.size(), value.size()) > kXattrSpace) return Fail(ErrorCode::kNoSpace);
  MIRDAX_ASSIGN(const auto contents, Read(tx.reader(), inode));
  Builder builder;
  bool fits = true;
  bool replaced = false;
  if (contents) {
    contents->view.ForEach([&](const XattrView& entry) {
      const bool same = entry.space == space && entry.name == name;
      replaced = replaced || same;
      fits = builder.Add(same ? XattrView{space, name, value} : entry);
      return fits;
    });
  }
  if (fits && !replaced) fits = builder.Add({space, name, value});
  if (!fits) return Fail(ErrorCode::kNoSpace);
  return Store(tx, allocator_, inode, builder);
}

Status XattrBlock::Remove(Tx& tx, InodeDisk& inode, XattrNamespace space, std::string_view name) {
  MIRDAX_ASSIGN(const auto contents, Read(tx.reader(), inode));
  Builder builder;
  bool found = false;
  if (contents) {
    contents->view.ForEach([&](const XattrView& entry) {
      const bool same = entry.space == space && entry.name == name;
      found = found || same;
      return same || builder.Add(entry);
    });
  }
  if (!found) return Fail(ErrorCode::kNoData);
  return Store(tx, allocator_, inode, builder);
}

Status XattrBlock::RemoveAll(Tx& tx, InodeDisk& inode) {
  if (inode.xattr_block == 0) return {};
  MIRDAX_TRY(Read(tx.reader(), inode));
  return Store(tx, allocator_, inode, Builder());
}

}  // namespace mirdax
