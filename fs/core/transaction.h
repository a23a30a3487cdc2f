// SPDX-License-Identifier: BSD-2-Clause
// Metadata transactions: operations change metadata in DRAM copies of blocks (the overlay), many
// operations share one running transaction, and a commit turns it into one journal record.
//
//      operation            commit (one leader at a time)                     home
//   Begin -> Modify... -> running tx --close--> record: Post to mirrors        |
//                            |                  persist data+record            |
//                            |                  commit word, persist           |
//                            v                  Wait for mirrors               |
//                        next running tx        store patches -----------------+--> tail
//
// Invariants:
//  I1 (R1) every PoolRange given to AddData() is durable here before the commit word passes the
//     transaction's record, and is in the same ReplicationBatch as the record or an earlier one.
//  I2 home is stored only with patches of committed records; a block stays in the overlay from its
//     first Modify() until its last patch is stored at home.
//  I3 commit word, then home, then tail: each is durable before the next moves.
//  I4 an operation's changes are all in one transaction: whole or absent after a crash.
//
// Lock order (outermost first): rename mutex > inode locks (parents before children, then by
// number)
//   > Tx (shared hold) > allocation group > overlay shard > PrivateStore.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "fs/base/clock.h"
#include "fs/base/mutex.h"
#include "fs/base/ranges.h"
#include "fs/base/result.h"
#include "fs/core/replication_sink.h"
#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "fs/pmem/private_store.h"
#include "fs/pmem/region.h"

namespace mirdax {

using TxId = uint64_t;  // 1, 2, 3...: the running transaction's number

// What a metadata block holds: decides where its checksums are.
enum class BlockKind : uint8_t {
  kBitmap,  // no checksum; fsck compares it with its owners
  kInodes,  // 16 InodeDisk, each sealed by its writer (inode_table.h)
  kNode,    // BlockHeader: extent node, directory node, xattr block. A commit computes the checksum
            // into its record, never into the overlay's copy (readers hold no barrier)
};

class MetaBuffer;          // one overlay block: 4 KiB copy and a mask of its dirty lines
class TransactionManager;  // transaction_manager.h

// A read view of one metadata block, pinned: its bytes stay mapped while the view lives, and stay
// unchanged while the caller holds the lock that guards the block (inode lock, group lock).
class BlockView {
 public:
  BlockView() = default;
  BlockView(const std::byte* data, std::shared_ptr<const MetaBuffer> pin)
      : data_(data), pin_(std::move(pin)) {}
  const std::byte* data() const noexcept { return data_; }
  std::span<const std::byte> bytes() const noexcept { return {data_, kBlockSize}; }
  template <typename T>
  const T& As(uint64_t offset = 0) const noexcept {
    return *reinterpret_cast<const T*>(data_ + offset);
  }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  const std::byte* data_ = nullptr;
  std::shared_ptr<const MetaBuffer> pin_;  // null when the bytes are the pool's own
};

// Reads metadata as it is now: the overlay's copy where there is one, else the pool's bytes in
// place. This is the interface that trees and inodes read through.
class MetaReader {
 public:
  virtual ~MetaReader() = default;
  // kNode blocks read from the pool are checked first: magic, self, checksum (kCorrupt says which
  // block). kInodes are checked per inode by the inode table; kBitmap has nothing to check.
  virtual Result<BlockView> Read(BlockNo block, BlockKind kind) = 0;
  virtual const Geometry& geometry() const noexcept = 0;
};

// One operation's hold on the running transaction. Movable; the destructor ends it.
//
// An operation reads and checks everything first, then modifies. If it fails after its first
// Modify(), the change cannot be undone: it calls Abort(), and the filesystem stops (kShutdown).
//
// Threads: one. While a Tx lives, its thread takes no inode lock and waits for no commit.
class Tx {
 public:
  Tx(Tx&& other) noexcept;
  Tx& operator=(Tx&&) = delete;
  ~Tx();

  TxId id() const noexcept { return id_; }
  MetaReader& reader() const noexcept;

  // The writable copy of `block`, with [offset, offset + length) marked to be journalled. The
  // pointer is to the block's first byte and is good while the Tx lives. Reads the block first when
  // it has no copy yet; kCorrupt as MetaReader::Read.
  // REQUIRES: the caller holds the lock that guards the bytes, exclusively.
  Result<std::byte*> Modify(BlockNo block, BlockKind kind, uint64_t offset, uint64_t length);
  // As Modify() of the whole block, but starts from zeros without reading: a block just allocated.
  std::byte* Create(BlockNo block, BlockKind kind);
  // Forgets a block that the operation frees: what is dirty in it need not be journalled.
  void Forget(BlockNo block);

  // File data that must be durable, here and on the mirrors, before this transaction commits (R1).
  // The bytes were written with Region::Stream() or Write().
  void AddData(PoolRange range);

  // Stops the filesystem: every later Begin() and commit fails with kShutdown.
  void Abort(const Error& why);

 private:
  friend class TransactionManager;
  Tx(TransactionManager* manager, TxId id, uint32_t credits);

  TransactionManager* manager_;
  TxId id_;
  uint32_t credits_;
  int exceptions_;  // under way when it began
  bool changed_ = false;
};

}  // namespace mirdax
