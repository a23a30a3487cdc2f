// SPDX-License-Identifier: BSD-2-Clause
// The filesystem: everything that FUSE, tests and benchmarks call. Knows neither FUSE nor fabrics.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fs/base/clock.h"
#include "fs/base/random.h"
#include "fs/base/result.h"
#include "fs/core/replication_sink.h"
#include "fs/format/layout.h"
#include "fs/pmem/pool.h"
#include "fs/pmem/private_store.h"

namespace mirdax {

struct Attributes {
  Ino ino = 0;
  uint64_t generation = 0;
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t rdev = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes, as stat(2) counts; pending blocks included
  Timestamp atime, mtime, ctime, btime;
};

// On whose behalf. The kernel has checked permissions (default_permissions).
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t umask = 0;
};

struct AttributeChange {
  std::optional<uint32_t> mode;  // permission bits
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<uint64_t> size;
  std::optional<Timestamp> atime;
  std::optional<Timestamp> mtime;
  std::optional<Timestamp> ctime;
};

struct DirEntry {
  std::string_view name;
  Ino ino;
  uint8_t type;     // DT_*
  uint64_t cookie;  // where to go on after this entry
};

struct SpaceReport {
  uint64_t blocks = 0, blocks_free = 0, blocks_available = 0;  // of kBlockSize
  uint64_t inodes = 0, inodes_free = 0;
};

// Neighbouring blocks of a file (of kBlockSize) that have storage.
struct AllocatedRun {
  uint64_t first = 0;
  uint64_t length = 0;
  bool unwritten = false;  // reads as zeros
  friend bool operator==(const AllocatedRun&, const AllocatedRun&) = default;
};

class Allocator;  // allocator.h

struct VolumeOptions {
  bool read_only = false;
  bool sync_always = false;  // -o sync: every change is durable when the call returns
  bool noatime = false;      // default is relatime
  std::chrono::milliseconds commit_interval{1000};
  bool background = true;  // false: no threads of its own; the test calls Tick()
  // Puts another allocator in front of the volume's (a test's, that refuses). May be empty.
  std::function<std::unique_ptr<Allocator>(std::unique_ptr<Allocator>)> allocator_seam = {};
};

enum class AllocateMode : uint8_t {
  kAllocate,  // grows the size
  kAllocateKeepSize,
  kPunchHole,
  kZeroRange,  // grows the size
  kZeroRangeKeepSize,
};
enum class SeekTo : uint8_t { kData, kHole };
enum class XattrMode : uint8_t { kAny, kCreate, kReplace };

struct VolumeStatus {
  uint64_t epoch = 0;
  Lsn commit = 0;
  Lsn tail = 0;
  bool shut_down = false;
  uint64_t pending_bytes = 0;  // written, not yet durable
  std::vector<BadRange> bad;   // what the medium has refused
};

// Durability: a call that returns has changed what others see; it is durable after Fsync() of the
// inode (or of any other: metadata commits together), FsyncDirectory(), the commit interval, or at
// once with sync_always.
//
// Lookup counts: calls that return Attributes for a name (Lookup, Create, MakeNode, MakeDirectory,
// MakeSymlink, Link, OpenTemporary) add one to the inode's count on success; Forget() subtracts. An
// inode without links is freed when its count reaches zero, or at the next mount.
//
// Errors:  as the POSIX call of that name. kIo where the medium refuses bytes: of a file, to those
//          who read or change these bytes, and to a sync that has to make them durable; of
//          metadata, to every call that was at work, and the volume stops. kShutdown after an error
//          that could not be undone.
// Threads: every method by any. Locks: as in transaction.h; none is held when a call returns.
class Volume {
 public:
  // Recovers (replays the journal, frees orphans) and starts. The cost depends on the journal and
  // the orphans, not on the number of files. REQUIRES: all references outlive the volume; the
  // private block says role primary (kInvalid otherwise, with what to do).
  static Result<std::unique_ptr<Volume>> Mount(Pool& pool, PrivateStore& private_store,
                                               ReplicationSink& sink, Clock& clock, Random& random,
                                               const VolumeOptions& options);
  // As a power cut would find it: nothing is written. Call Unmount() for a clean end.
  virtual ~Volume() = default;

  // Commits everything, checkpoints here and on the mirrors, frees orphans, marks the pool clean.
  // After a failure it may be called again; changes may be refused by then (kShutdown).
  virtual Status Unmount() = 0;

  // --- names ---
  virtual Result<Attributes> Lookup(Ino parent, std::string_view name) = 0;
  virtual void Forget(Ino ino, uint64_t count) = 0;
  virtual Result<Attributes> Create(Ino parent, std::string_view name, uint32_t mode,
                                    const Caller& caller) = 0;  // a regular file
  virtual Result<Attributes> MakeNode(Ino parent, std::string_view name, uint32_t mode,
                                      uint32_t rdev, const Caller& caller) = 0;
  virtual Result<Attributes> MakeDirectory(Ino parent, std::string_view name, uint32_t mode,
                                           const Caller& caller) = 0;
  virtual Result<Attributes> MakeSymlink(Ino parent, std::string_view name, std::string_view target,
                                         const Caller& caller) = 0;
  virtual Result<Attributes> OpenTemporary(Ino parent, uint32_t mode,
                                           const Caller& caller) = 0;  // O_TMPFILE: no name
  virtual Result<Attributes> Link(Ino ino, Ino new_parent, std::string_view new_name) = 0;
  virtual Status Unlink(Ino parent, std::string_view name) = 0;
  virtual Status RemoveDirectory(Ino parent, std::string_view name) = 0;
  // flags: RENAME_NOREPLACE, RENAME_EXCHANGE (linux/fs.h).
  virtual Status Rename(Ino parent, std::string_view name, Ino new_parent,
                        std::string_view new_name, uint32_t flags) = 0;
  virtual Result<std::string> ReadLink(Ino ino) = 0;

  // --- directories ---
  // Calls `emit` for each entry after `cookie` (0: from the start, "." and ".." first) until it
  // returns false or the end. With `attributes`, each entry but "." and ".." also comes with its
  // attributes and one lookup count, which is taken back when emit returns false. Attributes are
  // null where the inode could not be read. emit is called without any lock of the volume held.
  using Emit = std::function<bool(const DirEntry&, const Attributes*)>;
  virtual Status ReadDirectory(Ino ino, uint64_t cookie, bool attributes, const Emit& emit) = 0;

  // --- attributes ---
  virtual Result<Attributes> GetAttributes(Ino ino) = 0;
  virtual Result<Attributes> SetAttributes(Ino ino, const AttributeChange& change) = 0;
  virtual Result<SpaceReport> Space() = 0;

  // --- extended attributes; names with their prefix ("user.x", "system.posix_acl_access") ---
  virtual Result<std::string> GetXattr(Ino ino, std::string_view name) = 0;
  virtual Result<std::vector<std::string>> ListXattrs(Ino ino) = 0;
  virtual Status SetXattr(Ino ino, std::string_view name, std::string_view value,
                          XattrMode mode) = 0;
  virtual Status RemoveXattr(Ino ino, std::string_view name) = 0;

  // --- data ---
  // Calls `reply` once with the bytes of [offset, offset + length) cut at the end of file, in
  // place: spans into PM (zeros for holes), good only during the call. The inode is locked shared
  // while `reply` runs, so it must not wait for another call into the volume. What `reply` passes
  // on without reading it (to the kernel) may be refused only there: FindBad().
  static constexpr size_t kMostSpans = 1000;
  using Reply = std::function<void(std::span<const std::span<const std::byte>>)>;
  virtual Status Read(Ino ino, uint64_t offset, uint64_t length, const Reply& reply) = 0;
  virtual Result<uint64_t> Write(Ino ino, uint64_t offset, std::span<const std::byte> bytes) = 0;
  // O_APPEND where the kernel does not know the size: writes at the end, returns where.
  virtual Result<uint64_t> Append(Ino ino, std::span<const std::byte> bytes) = 0;
  virtual Status Allocate(Ino ino, AllocateMode mode, uint64_t offset, uint64_t length) = 0;
  virtual Result<uint64_t> Seek(Ino ino, uint64_t offset, SeekTo to) = 0;  // kNoSuchDevice: ENXIO
  // What the file occupies, beyond its end too and pending blocks included: in order, joined where
  // neighbours are alike. No FUSE request asks for it (there is none for FIEMAP): tests do.
  virtual Result<std::vector<AllocatedRun>> Allocated(Ino ino) = 0;
  virtual Result<uint64_t> CopyRange(Ino from, uint64_t from_offset, Ino to, uint64_t to_offset,
                                     uint64_t length) = 0;

  // --- durability ---
  virtual Status Fsync(Ino ino, bool data_only) = 0;
  virtual Status FsyncDirectory(Ino ino) = 0;
  virtual Status SyncAll() = 0;
  // What the commit interval does; called by the volume's own thread when options.background.
  virtual Status Tick() = 0;

  virtual VolumeStatus GetStatus() const = 0;
};

}  // namespace mirdax
