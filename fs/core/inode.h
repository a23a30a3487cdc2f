// SPDX-License-Identifier: BSD-2-Clause
// One in-core inode: what an operation, unsynced data or the cache needs of a file.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <cstdint>

#include "fs/base/mutex.h"
#include "fs/core/pending_map.h"
#include "fs/core/range_set.h"
#include "fs/core/transaction.h"
#include "fs/format/layout.h"

namespace mirdax {

class InodeCache;

// Invariants:
//  N1 `disk` with disk.size, disk.blocks and the payload is what the running transaction says; only
//     times may be newer (attributes_dirty).
//  N2 disk.size never covers a pending block: `size` is what callers see, and becomes disk.size in
//     the transaction that maps the blocks below it.
//  N3 whatever was stored and is not in `pending` or `dirty` was handed to Tx::AddData().
//
// Locks: `mutex` guards everything but the cache's own members. Held exclusively to change.
class Inode {
 public:
  explicit Inode(Ino number) : ino(number) {}
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;

  // For locks the analysis cannot follow (several inodes, in an order found at run time).
  void AssertLocked() const MIRDAX_ANNOTATE(assert_capability(mutex)) {}

  const Ino ino;
  SharedMutex mutex;

  InodeDisk disk MIRDAX_GUARDED_BY(mutex){};
  uint64_t size MIRDAX_GUARDED_BY(mutex) = 0;   // of regular files; directories: disk.size
  bool freed MIRDAX_GUARDED_BY(mutex) = false;  // the slot was given back: no such inode any more
  bool attributes_dirty MIRDAX_GUARDED_BY(mutex) = false;  // disk's times are newer than the table
  PendingMap pending MIRDAX_GUARDED_BY(mutex);
  RangeSet dirty MIRDAX_GUARDED_BY(mutex);             // in-place stores; byte offsets in the file
  TxId last_transaction MIRDAX_GUARDED_BY(mutex) = 0;  // the last that changed it

 private:
  friend class InodeCache;
  friend class InodeRef;

  // Guarded by the cache.
  boost::intrusive::unordered_set_member_hook<> hash_hook_;
  boost::intrusive::list_member_hook<> lru_hook_;
  boost::intrusive::list_member_hook<> dirty_hook_;
  InodeCache* cache_ = nullptr;
  uint32_t references_ = 0;
};

// Keeps an inode in core. Movable; the destructor lets go. Copy with Share().
class InodeRef {
 public:
  InodeRef() = default;
  InodeRef(InodeRef&& other) noexcept : inode_(other.inode_) { other.inode_ = nullptr; }
  InodeRef& operator=(InodeRef&& other) noexcept;
  ~InodeRef() { Reset(); }

  InodeRef Share() const;
  void Reset();
  Inode& operator*() const noexcept { return *inode_; }
  Inode* operator->() const noexcept { return inode_; }
  Inode* get() const noexcept { return inode_; }
  explicit operator bool() const noexcept { return inode_ != nullptr; }

 private:
  friend class InodeCache;
  explicit InodeRef(Inode* inode) noexcept : inode_(inode) {}  // takes over one reference
  Inode* inode_ = nullptr;
};

}  // namespace mirdax
