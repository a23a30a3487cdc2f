// SPDX-License-Identifier: BSD-2-Clause
// The model filesystem: what each operation of a workload does, said a second time and simply.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fs/base/result.h"
#include "tests/crash/file_data.h"
#include "tests/crash/workload.h"

namespace mirdax::crash {

using NodeId = uint32_t;
inline constexpr NodeId kRootNode = 1;

// When operation `index` of a workload runs: the clock that executor and model share.
constexpr int64_t SecondsAt(uint32_t index) { return int64_t{1'000'000'000} + index; }

struct Node {
  uint32_t mode = 0;  // as st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t rdev = 0;
  uint32_t nlink = 0;
  int64_t atime = 0;  // seconds
  int64_t mtime = 0;
  int64_t ctime = 0;
  NodeId parent = 0;   // of a directory
  std::string target;  // of a symlink
  std::map<std::string, std::string> xattrs;
  std::map<std::string, NodeId> entries;  // of a directory
  std::shared_ptr<const FileData> data;   // of a regular file; versions share it

  bool IsDirectory() const noexcept { return (mode & 0170000) == 0040000; }
  bool IsFile() const noexcept { return (mode & 0170000) == 0100000; }
};

// The whole filesystem at one moment; a value. Nodes without links live while a handle is open.
class State {
 public:
  State();

  // Does `operation` as number `index`, at `seconds` by the clock. Returns the error that the call
  // must fail with, and then nothing has changed.
  std::optional<ErrorCode> Apply(const Operation& operation, uint32_t index, int64_t seconds);
  std::optional<ErrorCode> Apply(const Operation& operation, uint32_t index) {
    return Apply(operation, index, SecondsAt(index));
  }

  // `operation` failed for want of space, memory or the like, and changed nothing that it is asked
  // for; but blocks that it was to allocate may be allocated.
  void MayHaveAllocated(const Operation& operation);

  // Of a running volume: a truncation of `file`, which had been `before`, frees its blocks later.
  void MayKeepBehindEnd(NodeId file, const FileData& before);

  // The node a path or handle means.
  Result<NodeId> Find(std::string_view path) const;
  const Node& At(NodeId id) const { return nodes_.at(id); }
  bool Has(NodeId id) const { return nodes_.contains(id); }
  const std::map<NodeId, Node>& nodes() const noexcept { return nodes_; }
  const std::map<std::string, NodeId>& handles() const noexcept { return handles_; }

  // What there is now was there, durable, before operation 1.
  void Settle();

 private:
  struct Place {  // a name in a directory
    NodeId dir = 0;
    std::string name;
    NodeId node = 0;  // 0: there is no such name
  };
  Result<Place> Locate(std::string_view path) const;

  Status Make(const Operation& op, uint32_t mode);
  Status Temporary(const Operation& op);
  Status Link(const Operation& op);
  Status Remove(const Operation& op, bool directory);
  Status Rename(const Operation& op);
  Status ChangeData(const Operation& op, uint32_t index);
  Status Copy(const Operation& op, uint32_t index);
  Status ChangeXattr(const Operation& op);
  Status ChangeAttributes(const Operation& op);
  Status Do(const Operation& op, uint32_t index);

  Result<NodeId> FindFile(std::string_view path) const;
  bool IsWithin(NodeId node, NodeId dir) const;  // dir, or below it
  void Drop(NodeId id);                          // one link less
  void Collect(NodeId id);                       // gone without links and handles
  void TouchNames(NodeId dir);

  std::map<NodeId, Node> nodes_;
  std::map<std::string, NodeId> handles_;
  NodeId next_ = kRootNode + 1;
  int64_t now_ = SecondsAt(0);  // while an operation is done
  bool unmounted_ = false;
};

}  // namespace mirdax::crash
