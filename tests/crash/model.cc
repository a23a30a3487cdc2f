// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/model.h"

#include <sys/stat.h>

#include <algorithm>

#include "tests/crash/pattern.h"

namespace mirdax::crash {
namespace {

bool IsDevice(uint32_t mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

}  // namespace

State::State() {
  Node root;
  root.mode = S_IFDIR | 0755;
  root.nlink = 2;
  root.parent = kRootNode;
  root.atime = root.mtime = root.ctime = now_;
  nodes_[kRootNode] = root;
}

void State::Settle() {
  for (auto& [id, node] : nodes_) {
    if (!node.data) continue;
    auto settled = std::make_shared<FileData>(*node.data);
    settled->Settle();
    node.data = std::move(settled);
  }
}

Result<State::Place> State::Locate(std::string_view path) const {
  Place place;
  place.dir = kRootNode;
  for (;;) {
    if (!At(place.dir).IsDirectory()) return Fail(ErrorCode::kNotDirectory);
    const size_t slash = path.find('/');
    place.name = path.substr(0, slash);
    const auto& entries = At(place.dir).entries;
    const auto it = entries.find(place.name);
    place.node = it == entries.end() ? 0 : it->second;
    if (slash == path.npos) return place;
    if (place.node == 0) return Fail(ErrorCode::kNotFound);
    place.dir = place.node;
    path.remove_prefix(slash + 1);
  }
}

Result<NodeId> State::Find(std::string_view path) const {
  if (path == "/") return kRootNode;
  if (path.starts_with('@')) {
    const auto it = handles_.find(std::string(path));
    if (it == handles_.end()) return Fail(ErrorCode::kNotFound);
    return it->second;
  }
  MIRDAX_ASSIGN(const Place place, Locate(path));
  if (place.node == 0) return Fail(ErrorCode::kNotFound);
  return place.node;
}

Result<NodeId> State::FindFile(std::string_view path) const {
  MIRDAX_ASSIGN(const NodeId id, Find(path));
  if (At(id).IsDirectory()) return Fail(ErrorCode::kIsDirectory);
  if (!At(id).IsFile()) return Fail(ErrorCode::kInvalid);
  return id;
}

bool State::IsWithin(NodeId node, NodeId dir) const {
  for (;; node = At(node).parent) {
    if (node == dir) return true;
    if (node == kRootNode) return false;
  }
}

void State::TouchNames(NodeId dir) { nodes_[dir].mtime = nodes_[dir].ctime = now_; }

void State::Collect(NodeId id) {
  const auto open = [id](const auto& handle) { return handle.second == id; };
  if (At(id).nlink == 0 && std::ranges::none_of(handles_, open)) nodes_.erase(id);
}

void State::Drop(NodeId id) {
  Node& node = nodes_[id];
  node.nlink = node.IsDirectory() ? 0 : node.nlink - 1;
  Collect(id);
}

Status State::Make(const Operation& op, uint32_t mode) {
  MIRDAX_ASSIGN(const Place place, Locate(op.path));
  if (place.node != 0) return Fail(ErrorCode::kExists);
  Node node;
  node.mode = mode;
  node.nlink = S_ISDIR(mode) ? 2 : 1;
  node.atime = node.mtime = node.ctime = now_;
  if (S_ISDIR(mode)) node.parent = place.dir;
  if (S_ISLNK(mode)) node.target = op.other;
  if (S_ISREG(mode)) node.data = std::make_shared<FileData>();
  if (IsDevice(mode)) node.rdev = op.rdev;
  const NodeId id = next_++;
  nodes_[id] = std::move(node);
  nodes_[place.dir].entries[place.name] = id;
  if (S_ISDIR(mode)) ++nodes_[place.dir].nlink;
  TouchNames(place.dir);
  return {};
}

Status State::Temporary(const Operation& op) {
  if (op.path.starts_with('@')) return Fail(ErrorCode::kInvalid);
  MIRDAX_ASSIGN(const NodeId dir, Find(op.path));
  if (!At(dir).IsDirectory()) return Fail(ErrorCode::kNotDirectory);
  if (handles_.contains(op.other)) return Fail(ErrorCode::kExists);
  Node node;
  node.mode = S_IFREG | op.mode;
  node.atime = node.mtime = node.ctime = now_;
  node.data = std::make_shared<FileData>();
  handles_[op.other] = next_;
  nodes_[next_++] = std::move(node);
  return {};
}

Status State::Link(const Operation& op) {
  MIRDAX_ASSIGN(const NodeId id, Find(op.path));
  if (At(id).IsDirectory()) return Fail(ErrorCode::kPermission);
  MIRDAX_ASSIGN(const Place place, Locate(op.other));
  if (place.node != 0) return Fail(ErrorCode::kExists);
  ++nodes_[id].nlink;
  nodes_[id].ctime = now_;
  nodes_[place.dir].entries[place.name] = id;
  TouchNames(place.dir);
  return {};
}

Status State::Remove(const Operation& op, bool directory) {
  MIRDAX_ASSIGN(const Place place, Locate(op.path));
  if (place.node == 0) return Fail(ErrorCode::kNotFound);
  Node& node = nodes_[place.node];
  if (directory && !node.IsDirectory()) return Fail(ErrorCode::kNotDirectory);
  if (!directory && node.IsDirectory()) return Fail(ErrorCode::kIsDirectory);
  if (!node.entries.empty()) return Fail(ErrorCode::kNotEmpty);
  node.ctime = now_;
  nodes_[place.dir].entries.erase(place.name);
  if (directory) --nodes_[place.dir].nlink;
  TouchNames(place.dir);
  Drop(place.node);
  return {};
}

Status State::Rename(const Operation& op) {
  MIRDAX_ASSIGN(const Place from, Locate(op.path));
  MIRDAX_ASSIGN(const Place to, Locate(op.other));
  const bool exchange = op.flag == OpFlag::kExchange;
  if (from.node == 0) return Fail(ErrorCode::kNotFound);
  if (to.node != 0 && op.flag == OpFlag::kNoReplace) return Fail(ErrorCode::kExists);
  if (to.node == 0 && exchange) return Fail(ErrorCode::kNotFound);
  if (IsWithin(to.dir, from.node)) return Fail(ErrorCode::kInvalid);
  if (to.node != 0 && IsWithin(from.dir, to.node)) {
    return Fail(exchange ? ErrorCode::kInvalid : ErrorCode::kNotEmpty);
  }
  if (to.node == from.node) return {};
  const bool moves_directory = At(from.node).IsDirectory();
  const bool onto_directory = to.node != 0 && At(to.node).IsDirectory();
  if (to.node != 0 && !exchange) {
    if (moves_directory && !onto_directory) return Fail(ErrorCode::kNotDirectory);
    if (!moves_directory && onto_directory) return Fail(ErrorCode::kIsDirectory);
    if (!At(to.node).entries.empty()) return Fail(ErrorCode::kNotEmpty);
  }
  const auto move = [&](NodeId node, NodeId old_dir, NodeId new_dir) {
    nodes_[node].ctime = now_;
    if (!nodes_[node].IsDirectory()) return;
    nodes_[node].parent = new_dir;
    --nodes_[old_dir].nlink;
    ++nodes_[new_dir].nlink;
  };
  TouchNames(from.dir);
  TouchNames(to.dir);
  nodes_[to.dir].entries[to.name] = from.node;
  move(from.node, from.dir, to.dir);
  if (exchange) {
    nodes_[from.dir].entries[from.name] = to.node;
    move(to.node, to.dir, from.dir);
    return {};
  }
  nodes_[from.dir].entries.erase(from.name);
  if (to.node != 0) {
    nodes_[to.node].ctime = now_;
    if (onto_directory) --nodes_[to.dir].nlink;
    Drop(to.node);
  }
  return {};
}

Status State::ChangeData(const Operation& op, uint32_t index) {
  MIRDAX_ASSIGN(const NodeId id, FindFile(op.path));
  Node& node = nodes_[id];
  FileData data = *node.data;
  const uint64_t end = op.offset + op.length;
  switch (op.kind) {
    case OpKind::kWrite:
      data.Write(op.offset, PatternBytes(op.tag, op.offset, op.length), index);
      break;
    case OpKind::kAppend:
      data.Write(data.size(), PatternBytes(op.tag, data.size(), op.length), index);
      break;
    case OpKind::kMmapStore:
      if (end > data.size()) return Fail(ErrorCode::kInvalid);
      data.Write(op.offset, PatternBytes(op.tag, op.offset, op.length), index);
      break;
    case OpKind::kTruncate:
      data.Truncate(op.length, index);
      break;
    case OpKind::kFallocate:
      if (op.length == 0) return Fail(ErrorCode::kInvalid);
      data.Allocate(op.offset, end);
      if (op.flag != OpFlag::kKeepSize) data.Grow(end);
      break;
    case OpKind::kPunch:
      if (op.length == 0) return Fail(ErrorCode::kInvalid);
      data.Punch(op.offset, end, index);
      break;
    case OpKind::kZero:
      if (op.length == 0) return Fail(ErrorCode::kInvalid);
      data.Zero(op.offset, end, index);
      if (op.flag != OpFlag::kKeepSize) data.Grow(end);
      break;
    default:
      return Fail(ErrorCode::kInvalid);
  }
  const bool nothing = op.length == 0 && op.kind != OpKind::kTruncate;
  if (!nothing) node.mtime = node.ctime = now_;
  node.data = std::make_shared<FileData>(std::move(data));
  return {};
}

void State::MayHaveAllocated(const Operation& op) {
  if (op.kind != OpKind::kFallocate && op.kind != OpKind::kZero) return;
  const Result<NodeId> id = FindFile(op.path);
  if (!id) return;
  FileData data = *At(*id).data;
  data.Allocate(op.offset, op.offset + op.length, true);
  nodes_[*id].data = std::make_shared<FileData>(std::move(data));
}

void State::MayKeepBehindEnd(NodeId file, const FileData& before) {
  FileData data = *At(file).data;
  data.MayKeepBehindEnd(before);
  nodes_[file].data = std::make_shared<FileData>(std::move(data));
}

Status State::Copy(const Operation& op, uint32_t index) {
  MIRDAX_ASSIGN(const NodeId from, FindFile(op.path));
  MIRDAX_ASSIGN(const NodeId to, FindFile(op.other));
  if (from == to && op.offset < op.to_offset + op.length && op.to_offset < op.offset + op.length) {
    return Fail(ErrorCode::kInvalid);
  }
  const std::string& source = At(from).data->bytes();
  if (op.offset >= source.size() || op.length == 0) return {};
  Node& node = nodes_[to];
  FileData data = *node.data;
  data.Write(op.to_offset, source.substr(op.offset, op.length), index);
  node.data = std::make_shared<FileData>(std::move(data));
  node.mtime = node.ctime = now_;
  return {};
}

Status State::ChangeXattr(const Operation& op) {
  MIRDAX_ASSIGN(const NodeId id, Find(op.path));
  Node& node = nodes_[id];
  const bool exists = node.xattrs.contains(op.other);
  if (op.kind == OpKind::kRemoveXattr) {
    if (!exists) return Fail(ErrorCode::kNoData);
    node.xattrs.erase(op.other);
  } else {
    if (!node.IsFile() && !node.IsDirectory()) return Fail(ErrorCode::kPermission);
    if (exists && op.flag == OpFlag::kCreate) return Fail(ErrorCode::kExists);
    if (!exists && op.flag == OpFlag::kReplace) return Fail(ErrorCode::kNoData);
    node.xattrs[op.other] = PatternBytes(op.tag, 0, op.length);
  }
  node.ctime = now_;
  return {};
}

Status State::ChangeAttributes(const Operation& op) {
  MIRDAX_ASSIGN(const NodeId id, Find(op.path));
  Node& node = nodes_[id];
  if (op.kind == OpKind::kChmod) node.mode = (node.mode & S_IFMT) | (op.mode & 07777);
  if (op.kind == OpKind::kChown) {
    node.uid = op.uid;
    node.gid = op.gid;
  }
  if (op.kind == OpKind::kUtimens) {
    node.atime = op.atime;
    node.mtime = op.mtime;
  }
  node.ctime = now_;
  return {};
}

Status State::Do(const Operation& op, uint32_t index) {
  if (unmounted_) return Fail(ErrorCode::kShutdown);
  switch (op.kind) {
    case OpKind::kCreate:
      return Make(op, S_IFREG | op.mode);
    case OpKind::kMkdir:
      return Make(op, S_IFDIR | op.mode);
    case OpKind::kMknod:
      return Make(op, TypeOf(op.flag) | op.mode);
    case OpKind::kSymlink:
      return Make(op, S_IFLNK | 0777);
    case OpKind::kLink:
      return Link(op);
    case OpKind::kUnlink:
      return Remove(op, false);
    case OpKind::kRmdir:
      return Remove(op, true);
    case OpKind::kRename:
      return Rename(op);
    case OpKind::kWrite:
    case OpKind::kAppend:
    case OpKind::kMmapStore:
    case OpKind::kTruncate:
    case OpKind::kFallocate:
    case OpKind::kPunch:
    case OpKind::kZero:
      return ChangeData(op, index);
    case OpKind::kCopy:
      return Copy(op, index);
    case OpKind::kSetXattr:
    case OpKind::kRemoveXattr:
      return ChangeXattr(op);
    case OpKind::kChmod:
    case OpKind::kChown:
    case OpKind::kUtimens:
      return ChangeAttributes(op);
    case OpKind::kTmpfile:
      return Temporary(op);
    case OpKind::kOpen: {
      if (op.path.starts_with('@')) return Fail(ErrorCode::kInvalid);
      MIRDAX_ASSIGN(const NodeId id, Find(op.path));
      if (handles_.contains(op.other)) return Fail(ErrorCode::kExists);
      handles_[op.other] = id;
      return {};
    }
    case OpKind::kClose: {
      MIRDAX_ASSIGN(const NodeId id, Find(op.path));
      handles_.erase(op.path);
      Collect(id);
      return {};
    }
    case OpKind::kFsync:
    case OpKind::kFdatasync:
    case OpKind::kMsync: {
      MIRDAX_TRY(Find(op.path));
      return {};
    }
    case OpKind::kFsyncDir: {
      MIRDAX_ASSIGN(const NodeId id, Find(op.path));
      if (!At(id).IsDirectory()) return Fail(ErrorCode::kNotDirectory);
      return {};
    }
    case OpKind::kSyncAll:
    case OpKind::kTick:
      return {};
    case OpKind::kUnmount:
      unmounted_ = true;
      return {};
  }
  return {};
}

std::optional<ErrorCode> State::Apply(const Operation& operation, uint32_t index, int64_t seconds) {
  now_ = seconds;
  const Status done = Do(operation, index);
  if (done) return std::nullopt;
  return done.error().code;
}

}  // namespace mirdax::crash
