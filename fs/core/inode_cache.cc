// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/inode_cache.h"

#include "fs/base/check.h"

namespace mirdax {

InodeRef& InodeRef::operator=(InodeRef&& other) noexcept {
  if (this != &other) {
    Reset();
    inode_ = other.inode_;
    other.inode_ = nullptr;
  }
  return *this;
}

InodeRef InodeRef::Share() const {
  inode_->cache_->Acquire(*inode_);
  return InodeRef(inode_);
}

void InodeRef::Reset() {
  if (inode_ == nullptr) return;
  inode_->cache_->Release(*inode_);
  inode_ = nullptr;
}

InodeCache::InodeCache(Loader loader, size_t capacity)
    : loader_(std::move(loader)),
      idle_per_shard_(capacity / kShards + 1),
      shards_(MakeShards(2 * idle_per_shard_, std::make_index_sequence<kShards>())) {}

InodeCache::~InodeCache() {
  {
    MutexLock lock(dirty_mutex_);
    dirty_.clear();
  }
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    shard.idle.clear();
    shard.hash.clear_and_dispose([](Inode* inode) { delete inode; });
  }
}

Result<InodeRef> InodeCache::Get(Ino ino) {
  Shard& shard = ShardOf(ino);
  MutexLock lock(shard.mutex);
  if (auto it = shard.hash.find(ino); it != shard.hash.end()) {
    if (it->references_++ == 0) shard.idle.erase(shard.idle.iterator_to(*it));
    return InodeRef(&*it);
  }
  MIRDAX_ASSIGN(const InodeDisk disk, loader_(ino));
  auto inode = std::make_unique<Inode>(ino);
  inode->AssertLocked();  // nobody else knows it
  inode->disk = disk;
  inode->size = disk.size;
  inode->last_transaction = evicted_transaction_.load();
  inode->cache_ = this;
  inode->references_ = 1;
  shard.hash.insert(*inode);
  size_.fetch_add(1, std::memory_order_relaxed);
  return InodeRef(inode.release());
}

InodeRef InodeCache::Create(Ino ino) MIRDAX_NO_THREAD_SAFETY_ANALYSIS {
  Inode* const inode = new Inode(ino);
  inode->mutex.lock();
  inode->cache_ = this;
  inode->references_ = 1;
  Shard& shard = ShardOf(ino);
  MutexLock lock(shard.mutex);
  const bool inserted = shard.hash.insert(*inode).second;
  MIRDAX_CHECK(inserted);
  size_.fetch_add(1, std::memory_order_relaxed);
  return InodeRef(inode);
}

void InodeCache::Discard(Inode& inode) {
  inode.freed = true;
  Shard& shard = ShardOf(inode.ino);
  MutexLock lock(shard.mutex);
  MIRDAX_CHECK(inode.hash_hook_.is_linked());
  shard.hash.erase(shard.hash.iterator_to(inode));
}

void InodeCache::Acquire(Inode& inode) {
  MutexLock lock(ShardOf(inode.ino).mutex);
  ++inode.references_;
}

void InodeCache::Release(Inode& inode) {
  Shard& shard = ShardOf(inode.ino);
  Inode* doomed = nullptr;
  {
    MutexLock lock(shard.mutex);
    if (--inode.references_ > 0) return;
    if (!inode.hash_hook_.is_linked()) {
      doomed = &inode;
    } else {
      shard.idle.push_back(inode);
      if (shard.idle.size() > idle_per_shard_) {
        doomed = &shard.idle.front();
        shard.idle.pop_front();
        // Before it cannot be found any more: whoever loads it again must see the number.
        doomed->AssertLocked();  // no references: nobody can lock it
        TxId seen = evicted_transaction_.load();
        while (seen < doomed->last_transaction &&
               !evicted_transaction_.compare_exchange_weak(seen, doomed->last_transaction)) {
        }
        shard.hash.erase(shard.hash.iterator_to(*doomed));
      }
    }
  }
  if (doomed != nullptr) Destroy(doomed);
}

void InodeCache::Destroy(Inode* inode) noexcept {
  delete inode;
  size_.fetch_sub(1, std::memory_order_relaxed);
}

void InodeCache::MarkDirty(Inode& inode) {
  MutexLock lock(dirty_mutex_);
  if (inode.dirty_hook_.is_linked()) return;
  Acquire(inode);
  dirty_.push_back(inode);
  dirty_count_.fetch_add(1, std::memory_order_relaxed);
}

void InodeCache::MarkClean(Inode& inode) {
  {
    MutexLock lock(dirty_mutex_);
    if (!inode.dirty_hook_.is_linked()) return;
    dirty_.erase(dirty_.iterator_to(inode));
    dirty_count_.fetch_sub(1, std::memory_order_relaxed);
  }
  Release(inode);
}

std::vector<InodeRef> InodeCache::Dirty() {
  MutexLock lock(dirty_mutex_);
  std::vector<InodeRef> result;
  result.reserve(dirty_.size());
  for (Inode& inode : dirty_) {
    Acquire(inode);
    result.push_back(InodeRef(&inode));
  }
  return result;
}

}  // namespace mirdax
