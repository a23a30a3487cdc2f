// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/oracle.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "fs/format/layout.h"

namespace mirdax::crash {
namespace {

using Reason = std::optional<std::string>;

// Changes that reach the journal with the next sync of the file only, times included.
bool IsLazy(OpKind kind) {
  switch (kind) {
    case OpKind::kWrite:
    case OpKind::kAppend:
    case OpKind::kMmapStore:
    case OpKind::kCopy:
    case OpKind::kFallocate:
    case OpKind::kPunch:
    case OpKind::kZero:
      return true;
    default:
      return false;
  }
}

std::string_view NameOf(BlockState state) {
  switch (state) {
    case BlockState::kHole:
      return "a hole";
    case BlockState::kUnwritten:
      return "unwritten";
    case BlockState::kWritten:
      return "written";
  }
  return "";
}

BlockState StateOf(const SeenNode& seen, uint64_t block) {
  return block < seen.blocks.size() ? seen.blocks[block] : BlockState::kHole;
}

bool SameBlocks(const FileData& data, const SeenNode& seen) {
  const uint64_t most = std::max<uint64_t>(data.blocks(), seen.blocks.size());
  for (uint64_t block = 0; block < most; ++block)
    if (!data.MayBe(block, StateOf(seen, block))) return false;
  return true;
}

bool SameTimes(const Node& node, const Attributes& seen) {
  return seen.atime.seconds == node.atime && seen.mtime.seconds == node.mtime &&
         seen.ctime.seconds == node.ctime;
}

}  // namespace

class Oracle::Match {
 public:
  Match(const History& history, const Observation& seen, Moment moment, uint32_t p)
      : history_(history), seen_(seen), moment_(moment), p_(p), state_(history.After(p)) {}

  Reason Run() {
    if (Reason bad = Compare("/", kRootNode, kRootIno)) return bad;
    if (inos_.size() != seen_.nodes.size()) return "more inodes are seen than there are";
    return std::nullopt;
  }

 private:
  Reason Compare(const std::string& path, NodeId id, Ino ino) {
    const auto [known, fresh] = inos_.try_emplace(id, ino);
    if (!fresh) {
      if (known->second == ino) return std::nullopt;
      return fmt::format("{}: another inode than its other name", path);
    }
    if (!nodes_.try_emplace(ino, id).second) return fmt::format("{}: the inode of another", path);
    const Node& node = state_.At(id);
    const SeenNode& seen = seen_.nodes.at(ino);
    if (Reason bad = CompareAttributes(path, node, seen)) return bad;
    Reason bad;
    if (node.IsFile()) bad = Bytes(path, id, seen);
    if (node.IsDirectory()) bad = Entries(path, node, seen);
    if (!bad) bad = Occupied(path, seen);
    return bad ? bad : Times(path, id, seen);  // last: names and bytes say more
  }

  static Reason CompareAttributes(const std::string& path, const Node& node, const SeenNode& seen) {
    const auto differs = [&path](std::string_view what, auto is, auto wanted) -> Reason {
      return fmt::format("{}: {} is {}, not {}", path, what, is, wanted);
    };
    const Attributes& is = seen.attributes;
    if (is.mode != node.mode)
      return fmt::format("{}: mode {:o}, not {:o}", path, is.mode, node.mode);
    if (is.uid != node.uid) return differs("the owner", is.uid, node.uid);
    if (is.gid != node.gid) return differs("the group", is.gid, node.gid);
    if (is.nlink != node.nlink) return differs("the link count", is.nlink, node.nlink);
    if (is.rdev != node.rdev) return differs("the device", is.rdev, node.rdev);
    if (seen.target != node.target) return differs("the target", seen.target, node.target);
    if (seen.xattrs != node.xattrs) {
      return fmt::format("{}: {} extended attributes, not the {} wanted, or others", path,
                         seen.xattrs.size(), node.xattrs.size());
    }
    return std::nullopt;
  }

  // O6
  static Reason Occupied(const std::string& path, const SeenNode& seen) {
    const uint64_t is = seen.attributes.blocks / (kBlockSize / 512);
    uint64_t least = seen.xattrs.empty() ? 0 : 1;
    uint64_t nodes = 0;  // how many more there may be, of its tree
    if (S_ISREG(seen.attributes.mode)) {
      const auto holes = std::ranges::count(seen.blocks, BlockState::kHole);
      const uint64_t data = seen.blocks.size() - static_cast<uint64_t>(holes);
      least += data;
      if (data > kExtentsInRoot) nodes = data;
    } else if (S_ISDIR(seen.attributes.mode) && !seen.entries.empty()) {
      ++least;
      nodes = seen.entries.size();
    } else if (seen.target.size() > kInlineSymlinkMax) {
      ++least;
    }
    if (is >= least && is <= least + nodes) return std::nullopt;
    return fmt::format("{}: occupies {} blocks, not {}", path, is, least);
  }

  Reason Entries(const std::string& path, const Node& node, const SeenNode& seen) {
    const std::string prefix = path == "/" ? path : path + "/";
    if (inos_.at(node.parent) != seen.parent) {
      return fmt::format("{}: .. is inode {}", path, seen.parent);
    }
    for (const auto& [name, child] : node.entries) {
      if (!seen.entries.contains(name)) return fmt::format("{}{} is missing", prefix, name);
    }
    for (const auto& [name, ino] : seen.entries) {
      const auto child = node.entries.find(name);
      if (child == node.entries.end()) return fmt::format("{}{} is there", prefix, name);
      if (Reason bad = Compare(prefix + name, child->second, ino)) return bad;
    }
    return std::nullopt;
  }

  // The first operation after which `id` is there.
  uint32_t Creation(NodeId id) const {
    uint32_t first = p_;
    while (first > 0 && history_.After(first - 1).Has(id)) --first;
    return first;
  }

  // O5
  Reason Times(const std::string& path, NodeId id, const SeenNode& seen) const {
    const uint32_t oldest = std::max(Creation(id), history_.BytesDurable(id, moment_, true));
    for (uint32_t at = p_;; --at) {
      const Node& node = history_.After(at).At(id);
      if (SameTimes(node, seen.attributes)) return std::nullopt;
      if (at <= oldest) break;
      const bool changed = node.ctime == history_.SecondsOf(at);
      if (changed && !(node.IsFile() && IsLazy(history_.At(at).kind))) break;
    }
    const Node& wanted = state_.At(id);
    return fmt::format("{}: times {} {} {}, wanted {} {} {} (or older, where no sync forbids it)",
                       path, seen.attributes.atime.seconds, seen.attributes.mtime.seconds,
                       seen.attributes.ctime.seconds, wanted.atime, wanted.mtime, wanted.ctime);
  }

  const FileData& Data(NodeId id, uint32_t index) const {
    return *history_.After(index).At(id).data;
  }

  Reason Bytes(const std::string& path, NodeId id, const SeenNode& node) const {
    const std::string& seen = node.bytes;
    const uint32_t oldest =
        std::max({Creation(id), history_.BytesDurable(id, moment_), Data(id, p_).resized()});  // O2
    bool size_ok = history_.SyncFailed(moment_.begun) && IsBetween(id, seen.size(), oldest);
    for (uint32_t at = oldest; at <= p_; ++at) {
      if (Data(id, at).bytes() == seen && SameBlocks(Data(id, at), node)) return std::nullopt;
      size_ok = size_ok || Data(id, at).size() == seen.size();
    }
    if (!size_ok) {
      return fmt::format("{}: {} bytes, a size it did not have since operation {}", path,
                         seen.size(), oldest);  // O3
    }
    uint64_t blocks = std::max((seen.size() + kBlockSize - 1) / kBlockSize, node.blocks.size());
    for (uint32_t at = oldest; at <= p_; ++at) blocks = std::max(blocks, Data(id, at).blocks());
    for (uint64_t block = 0; block < blocks; ++block) {
      if (Reason bad = Block(path, id, node, block, oldest)) return bad;
    }
    return std::nullopt;
  }

  // A sync that failed may have stored some of the blocks, and the size that they reach.
  bool IsBetween(NodeId id, uint64_t size, uint32_t oldest) const {
    uint64_t least = Data(id, oldest).size();
    uint64_t most = least;
    for (uint32_t at = oldest; at <= p_; ++at) {
      least = std::min(least, Data(id, at).size());
      most = std::max(most, Data(id, at).size());
    }
    return size % kBlockSize == 0 && size >= least && size <= most;
  }

  // O4
  Reason Block(const std::string& path, NodeId id, const SeenNode& node, uint64_t block,
               uint32_t oldest) const {
    constexpr uint64_t kWords = kBlockSize / FileData::kWord;
    const std::string& seen = node.bytes;
    const BlockState state = StateOf(node, block);
    const uint64_t begin = block * kWords;
    const uint64_t end =
        std::min(begin + kWords, (seen.size() + FileData::kWord - 1) / FileData::kWord);
    uint64_t reached = begin;
    bool mapped = false;  // like this after some operation
    for (uint32_t storage = oldest; storage <= p_; ++storage) {
      if (!Data(id, storage).MayBe(block, state)) continue;
      mapped = true;
      uint64_t word = begin;
      while (word < end && Word(id, seen, word, storage, oldest)) ++word;
      if (word >= end) return std::nullopt;
      reached = std::max(reached, word);
    }
    if (!mapped) {
      return fmt::format("{}: block {} is {}, which it was after no operation since {}", path,
                         block, NameOf(state), oldest);
    }
    return fmt::format("{}: the bytes at {} are not what they were after any operation since {}",
                       path, reached * FileData::kWord, oldest);
  }

  bool Word(NodeId id, const std::string& seen, uint64_t word, uint32_t storage,
            uint32_t oldest) const {
    const uint64_t begin = word * FileData::kWord;
    const uint64_t length = std::min<uint64_t>(FileData::kWord, seen.size() - begin);
    const FileData& mapped = Data(id, storage);
    unsigned matched = 0;  // bit i: byte i is that of some version
    bool refilled = false;
    for (uint32_t at = oldest; at <= moment_.begun && history_.After(at).Has(id); ++at) {
      const FileData& data = Data(id, at);
      if (data.size() < begin + length || !mapped.MayShow(data, word)) continue;
      if (seen.compare(begin, length, data.bytes(), begin, length) == 0) return true;
      refilled = refilled || data.RefilledSince(mapped, word);
      for (uint64_t i = 0; i < length; ++i) {
        if (seen[begin + i] == data.bytes()[begin + i]) matched |= 1U << i;
      }
    }
    // Bytes and the zeros around them are two stores, which may meet in the middle of a word.
    return refilled && matched == (1U << length) - 1;
  }

  const History& history_;
  const Observation& seen_;
  const Moment moment_;
  const uint32_t p_;
  const State& state_;
  std::unordered_map<NodeId, Ino> inos_;
  std::unordered_map<Ino, NodeId> nodes_;
};

std::optional<std::string> SpaceDiffers(const Observation& seen) {
  uint64_t blocks = 0;
  for (const auto& [ino, node] : seen.nodes) blocks += node.attributes.blocks / (kBlockSize / 512);
  if (blocks + seen.space.blocks_free != seen.space.blocks) {
    return fmt::format("of {} blocks {} are free, and files occupy {}", seen.space.blocks,
                       seen.space.blocks_free, blocks);
  }
  const uint64_t inodes = seen.nodes.size() + 1;  // number 0 is nobody's
  if (inodes + seen.space.inodes_free != seen.space.inodes) {
    return fmt::format("of {} inodes {} are free, and {} are in use", seen.space.inodes,
                       seen.space.inodes_free, inodes);
  }
  return std::nullopt;
}

std::optional<std::string> Differs(const Observation& seen, const State& state) {
  State now = state;
  now.Settle();
  const History history(std::move(now));
  return Oracle::Match(history, seen, Moment{}, 0).Run();
}

std::optional<std::string> Oracle::Judge(const Observation& seen, Moment moment) const {
  if (Reason bad = SpaceDiffers(seen)) return bad;
  const uint32_t oldest = history_.NamesDurable(moment);
  std::string reasons;
  for (uint32_t p = moment.begun;; --p) {
    const Reason bad = Match(history_, seen, moment, p).Run();
    if (!bad) return std::nullopt;
    reasons += fmt::format("\n    not as after operation {}: {}", p, *bad);
    if (p == oldest) break;
  }
  return "no legal state of the filesystem" + reasons;
}

}  // namespace mirdax::crash
