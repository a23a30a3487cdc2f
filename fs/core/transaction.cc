// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/transaction.h"

#include <utility>

#include "fs/base/check.h"
#include "fs/core/transaction_manager.h"

namespace mirdax {

Tx::Tx(Tx&& other) noexcept
    : manager_(std::exchange(other.manager_, nullptr)), id_(other.id_), credits_(other.credits_) {}

Tx::~Tx() {
  if (manager_ != nullptr) manager_->End(*this);
}

MetaReader& Tx::reader() const noexcept { return *manager_; }

Result<std::byte*> Tx::Modify(BlockNo block, BlockKind kind, uint64_t offset, uint64_t length) {
  return manager_->ModifyBlock(*this, block, kind, offset, length);
}

std::byte* Tx::Create(BlockNo block, BlockKind kind) {
  return manager_->CreateBlock(*this, block, kind);
}

void Tx::Forget(BlockNo block) { manager_->ForgetBlock(*this, block); }

void Tx::AddData(PoolRange range) { manager_->AddDataRange(*this, range); }

void Tx::Abort(const Error& why) { manager_->AbortTx(why); }

}  // namespace mirdax
