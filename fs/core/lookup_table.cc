// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/lookup_table.h"

#include <algorithm>

#include "fs/base/check.h"

namespace mirdax {

LookupTable::LookupTable(uint64_t inode_count)
    : inode_count_(inode_count), chunks_((inode_count + kChunk - 1) / kChunk) {}

LookupTable::~LookupTable() {
  for (std::atomic<Chunk*>& chunk : chunks_) delete chunk.load();
}

void LookupTable::Add(Ino ino, uint64_t count) {
  MIRDAX_CHECK(ino < inode_count_);
  std::atomic<Chunk*>& slot = chunks_[ino / kChunk];
  Chunk* chunk = slot.load();
  if (chunk == nullptr) {
    auto fresh = std::make_unique<Chunk>();
    if (slot.compare_exchange_strong(chunk, fresh.get())) chunk = fresh.release();
  }
  (*chunk)[ino % kChunk].fetch_add(count);
}

uint64_t LookupTable::Subtract(Ino ino, uint64_t count) {
  MIRDAX_CHECK(ino < inode_count_);
  Chunk* const chunk = chunks_[ino / kChunk].load();
  if (chunk == nullptr) return 0;
  std::atomic<uint64_t>& counter = (*chunk)[ino % kChunk];
  uint64_t before = counter.load();
  while (!counter.compare_exchange_weak(before, before - std::min(before, count))) {
  }
  return before - std::min(before, count);
}

uint64_t LookupTable::Count(Ino ino) const {
  MIRDAX_CHECK(ino < inode_count_);
  const Chunk* const chunk = chunks_[ino / kChunk].load();
  return chunk == nullptr ? 0 : (*chunk)[ino % kChunk].load();
}

}  // namespace mirdax
