// SPDX-License-Identifier: BSD-2-Clause
// MirrorCopy: how a fill begins and ends.
#include <spdlog/spdlog.h>

#include <cstring>

#include "fs/base/mutant.h"
#include "fs/format/checksums.h"
#include "fs/format/superblock.h"
#include "replicator/epochs.h"
#include "replicator/mirror_copy.h"

namespace mirdax {

Result<Geometry> MirrorCopy::CheckFill(const Superblock& superblock) const {
  MIRDAX_TRY(DecodeSuperblock(BytesOf(superblock)));
  MIRDAX_ASSIGN(const Geometry geometry, GeometryOf(superblock));
  if (geometry.pool_size > region_.size())
    return Fail(ErrorCode::kInvalid,
                "this mirror's pool has {} bytes, the primary's {}; use a larger pool",
                region_.size(), geometry.pool_size);
  if ((superblock.incompat & kIncompatBlank) != 0)
    return Fail(ErrorCode::kInvalid, "the primary's superblock is that of a blank copy");
  const MutexLock state(state_mutex_);
  if (Uuid{superblock.set_uuid} != attached_.set)
    return Fail(ErrorCode::kInvalid, "the primary's superblock is of set {}, the primary of {}",
                Uuid{superblock.set_uuid}.ToString(), attached_.set.ToString());
  return geometry;
}

Result<CopyInfo> MirrorCopy::BeginFill(SessionId session, const FillRequest& request) {
  const MutexLock attach(attach_mutex_);
  MIRDAX_TRY(RequireAttached(session, request.epochs));
  const Superblock& superblock = request.superblock;
  MIRDAX_ASSIGN(const Geometry geometry, CheckFill(superblock));
  if (request.commit % kLineSize != 0)
    return Fail(ErrorCode::kInvalid, "the commit word {} is not aligned", request.commit);
  if (target_ != nullptr) target_->Close();
  target_.reset();
  const MutexLock apply(apply_mutex_);  // what is half applied is about to be replaced
  MIRDAX_TRY(private_store_.Update([&](PrivateBlock& next) {
    if (Mutated(Mutant::kFillNotAnnounced)) return;
    next.state = CopyState::kFilling;
    next.set_uuid = superblock.set_uuid;
    next.clean = 0;
    next.tail = request.commit;
    StoreEpochs(request.epochs, next);
  }));
  region_.Store64(kCommitLineOffset, request.commit);
  if (!Mutated(Mutant::kFillWordNotFlushed))
    MIRDAX_TRY(region_.Persist(kCommitLineOffset, kLineSize));
  spdlog::info("fill begins: this copy cannot be promoted until it has ended");
  const MutexLock state(state_mutex_);
  filling_ = true;
  fill_ = superblock;
  consistent_ = false;
  geometry_ = geometry;
  epoch_ = fence_ = request.epochs.history.back().epoch;
  commit_ = tail_ = apply_to_ = request.commit;
  error_.clear();
  return InfoLocked();
}

Result<CopyInfo> MirrorCopy::EndFill(SessionId session, const FillRequest& request) {
  const MutexLock attach(attach_mutex_);
  MIRDAX_TRY(RequireAttached(session, request.epochs));
  const MutexLock apply(apply_mutex_);
  {
    const MutexLock state(state_mutex_);
    if (!filling_) return Fail(ErrorCode::kInvalid, "no fill has begun");
    if (std::memcmp(&fill_, &request.superblock, sizeof(fill_)) != 0)
      return Fail(ErrorCode::kInvalid, "the fill began with another superblock");
    if (request.commit != commit_)
      return Fail(ErrorCode::kInvalid, "the fill ends at commit word {}, this copy is at {}",
                  request.commit, commit_);
  }
  const auto become_consistent = [&] {
    return private_store_.Update([&](PrivateBlock& next) {
      next.state = CopyState::kConsistent;
      StoreEpochs(request.epochs, next);
    });
  };
  if (Mutated(Mutant::kFillEndsFirst)) MIRDAX_TRY(become_consistent());
  // The bytes were drained by the data connection's thread, answer by answer.
  Superblock superblock = request.superblock;
  superblock.incompat &= ~kIncompatBlank;
  MIRDAX_TRY(pool_.StoreSuperblock(superblock));
  MIRDAX_TRY(become_consistent());  // I5: the last step
  spdlog::info("fill has ended: this copy is consistent at LSN {}", request.commit);
  const MutexLock state(state_mutex_);
  filling_ = false;
  consistent_ = true;
  epoch_ = fence_ = request.epochs.history.back().epoch;
  return InfoLocked();
}

}  // namespace mirdax
