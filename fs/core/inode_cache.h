// SPDX-License-Identifier: BSD-2-Clause
// The in-core inodes: those in use, those with unsynced changes, and some clean ones.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "fs/base/mutex.h"
#include "fs/base/result.h"
#include "fs/core/inode.h"

namespace mirdax {

// An inode is in core while somebody holds an InodeRef, while it is dirty, and after that until it
// is the least recently used of more than `capacity` clean ones.
//
// Errors:  those of the loader (kNotFound, kCorrupt).
// Threads: every method by any.
// Locks:   a shard's lock is held while the loader reads metadata (only overlay shards lie below
//          it). May be called with inode locks and a Tx held.
class InodeCache {
 public:
  using Loader = std::function<Result<InodeDisk>(Ino)>;
  InodeCache(Loader loader, size_t capacity);
  ~InodeCache();  // REQUIRES: no InodeRef is left

  Result<InodeRef> Get(Ino ino);
  // An inode that was just allocated: empty, not yet known to anybody, its mutex locked
  // exclusively. (Locking it cannot wait, so it is allowed while a Tx is held.)
  InodeRef Create(Ino ino);
  // The slot is given back: Get() does not find this object any more, holders see `freed`.
  void Discard(Inode& inode) MIRDAX_REQUIRES(inode.mutex);

  // Dirty inodes stay in core and are listed.
  void MarkDirty(Inode& inode);
  void MarkClean(Inode& inode);
  std::vector<InodeRef> Dirty();
  size_t dirty_count() const noexcept { return dirty_count_.load(std::memory_order_relaxed); }
  size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

 private:
  friend class InodeRef;
  struct InoOf {
    using type = Ino;
    const Ino& operator()(const Inode& inode) const noexcept { return inode.ino; }
  };
  using Hash = boost::intrusive::unordered_set<
      Inode,
      boost::intrusive::member_hook<Inode, boost::intrusive::unordered_set_member_hook<>,
                                    &Inode::hash_hook_>,
      boost::intrusive::key_of_value<InoOf>>;
  using Lru = boost::intrusive::list<
      Inode, boost::intrusive::member_hook<Inode, boost::intrusive::list_member_hook<>,
                                           &Inode::lru_hook_>>;
  using DirtyList = boost::intrusive::list<
      Inode, boost::intrusive::member_hook<Inode, boost::intrusive::list_member_hook<>,
                                           &Inode::dirty_hook_>>;

  static constexpr size_t kShards = 16;
  struct Shard {
    explicit Shard(size_t bucket_count)
        : buckets(bucket_count), hash(Hash::bucket_traits(buckets.data(), bucket_count)) {}

    Mutex mutex;
    std::vector<Hash::bucket_type> buckets;
    Hash hash MIRDAX_GUARDED_BY(mutex);
    Lru idle MIRDAX_GUARDED_BY(mutex);  // no references; least recently used first
  };

  template <size_t... index>
  static std::array<Shard, kShards> MakeShards(size_t buckets, std::index_sequence<index...>) {
    return {(static_cast<void>(index), Shard(buckets))...};
  }
  Shard& ShardOf(Ino ino) noexcept { return shards_[ino % kShards]; }
  void Acquire(Inode& inode);  // one more reference
  void Release(Inode& inode);
  void Destroy(Inode* inode) noexcept;

  Loader loader_;
  const size_t idle_per_shard_;
  std::array<Shard, kShards> shards_;
  Mutex dirty_mutex_;
  DirtyList dirty_ MIRDAX_GUARDED_BY(dirty_mutex_);  // each holds one reference
  std::atomic<size_t> dirty_count_{0};
  std::atomic<size_t> size_{0};
  // The highest last_transaction of the inodes that left: one that comes back may have been changed
  // by it.
  std::atomic<TxId> evicted_transaction_{0};
};

}  // namespace mirdax
