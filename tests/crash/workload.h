// SPDX-License-Identifier: BSD-2-Clause
// A workload: what a crash test does to a volume, one operation a line. docs/TESTING.md has the
// grammar.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fs/base/result.h"

namespace mirdax::crash {

enum class OpKind : uint8_t {
  kCreate,
  kMkdir,
  kMknod,
  kSymlink,
  kLink,
  kUnlink,
  kRmdir,
  kRename,
  kWrite,
  kAppend,
  kMmapStore,
  kTruncate,
  kFallocate,
  kPunch,
  kZero,
  kSetXattr,
  kRemoveXattr,
  kChmod,
  kChown,
  kUtimens,
  kCopy,
  kTmpfile,
  kOpen,
  kClose,
  kFsync,
  kFdatasync,
  kMsync,
  kFsyncDir,
  kSyncAll,
  kTick,
  kUnmount,
};

// The last word of a line, where an operation takes one.
enum class OpFlag : uint8_t {
  kNone,
  kNoReplace,  // rename
  kExchange,
  kKeepSize,  // fallocate, zero
  kSync,      // write, append: the file is open with O_SYNC
  kCreate,    // setxattr
  kReplace,
  kFifo,  // mknod
  kSocket,
  kChar,
  kBlock,
};

// Names are paths from the root ("A/f"; the root is "/"), or handles ("@h") where a file is meant.
struct Operation {
  OpKind kind = OpKind::kTick;
  uint8_t client = 0;      // who does it; 0: done while no client is at work
  std::string path = {};   // what it is done to
  std::string other = {};  // new name, target of a symlink, name of an attribute, handle
  uint64_t offset = 0;     // bytes, as are all of these
  uint64_t to_offset = 0;  // copy
  uint64_t length = 0;     // also the new size of a truncate
  uint64_t tag = 0;        // whose bytes: pattern.h
  uint32_t mode = 0;
  uint32_t rdev = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t atime = 0;  // seconds
  int64_t mtime = 0;
  OpFlag flag = OpFlag::kNone;

  friend bool operator==(const Operation&, const Operation&) = default;
};

struct Workload {
  std::string shape = "plain";  // the volume that it starts on: shapes.h
  uint64_t schedule = 0;        // seed of the turns that clients take
  std::vector<Operation> operations;

  unsigned clients() const noexcept;  // 0: operations run one after another
  friend bool operator==(const Workload&, const Workload&) = default;
};

// What a sync point makes durable besides every earlier change of names and attributes.
enum class SyncScope : uint8_t {
  kNothing,    // no sync point
  kNames,      // fsyncdir
  kFile,       // and the bytes of one file
  kEverything  // and the bytes of all files
};
SyncScope ScopeOf(const Operation& operation) noexcept;

// Those that may store less than they were asked to when space runs out.
bool StoresBytes(OpKind kind) noexcept;

// The file type, as in st_mode, that mknod is asked for.
uint32_t TypeOf(OpFlag flag) noexcept;

inline constexpr unsigned kMostClients = 9;

// Errors: kInvalid; the message says the line and what is wrong with it.
Result<Operation> ParseOperation(std::string_view line);
Result<Workload> ParseWorkload(std::string_view text);
// A workload that stands in the source. REQUIRES: it parses.
Workload Lines(std::string_view text);
// REQUIRES: no empty path. Parse*(Print*(x)) is x.
std::string PrintOperation(const Operation& operation);
std::string PrintWorkload(const Workload& workload);

// The operation's first word, for messages and tables.
std::string_view NameOf(OpKind kind) noexcept;

}  // namespace mirdax::crash
