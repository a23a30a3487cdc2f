// SPDX-License-Identifier: BSD-2-Clause
#include "fs/core/transaction.h"

#include <exception>
#include <utility>

#include "fs/base/check.h"
#include "fs/core/transaction_manager.h"

namespace mirdax {

Tx::Tx(TransactionManager* manager, TxId id, uint32_t credits)
    : manager_(manager), id_(id), credits_(credits), exceptions_(std::uncaught_exceptions()) {}

Tx::Tx(Tx&& other) noexcept
    : manager_(std::exchange(other.manager_, nullptr)),
      id_(other.id_),
      credits_(other.credits_),
      exceptions_(other.exceptions_),
      changed_(other.changed_) {}

Tx::~Tx() {
  if (manager_ == nullptr) return;
  // Nobody undoes what an exception left half done: it must never be committed.
  if (changed_ && std::uncaught_exceptions() > exceptions_) {
    manager_->AbortTx(Error{ErrorCode::kNoMemory, {}});
  }
  manager_->End(*this);
}

MetaReader& Tx::reader() const noexcept { return *manager_; }

Result<std::byte*> Tx::Modify(BlockNo block, BlockKind kind, uint64_t offset, uint64_t length) {
  changed_ = true;
  return manager_->ModifyBlock(*this, block, kind, offset, length);
}

std::byte* Tx::Create(BlockNo block, BlockKind kind) {
  changed_ = true;
  return manager_->CreateBlock(*this, block, kind);
}

void Tx::Forget(BlockNo block) {
  changed_ = true;
  manager_->ForgetBlock(*this, block);
}

void Tx::AddData(PoolRange range) { manager_->AddDataRange(*this, range); }

void Tx::Abort(const Error& why) { manager_->AbortTx(why); }

}  // namespace mirdax
