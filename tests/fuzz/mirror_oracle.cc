// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/mirror_oracle.h"

#include "tests/fuzz/target.h"

namespace mirdax::fuzz {
namespace {

constexpr PoolRange kSuperblocks{kSuperblockOffset, 2 * kBlockSize};
constexpr PoolRange kPrivateBlocks{kPrivateBlockOffset, 2 * kBlockSize};
constexpr PoolRange kCommitLine{kCommitLineOffset, kLineSize};

bool Inside(const PoolRange& outer, const PoolRange& range) {
  return range.offset >= outer.offset && range.end() <= outer.end() && range.end() >= range.offset;
}

bool IsMetadata(const Geometry& geometry, const PoolRange& range) {
  return Inside(geometry.block_bitmap, range) || Inside(geometry.inode_bitmap, range) ||
         Inside(geometry.orphan_bitmap, range) || Inside(geometry.inode_table, range);
}

}  // namespace

void MirrorOracle::Started(Pool& pool, PrivateStore& store) {
  pool_ = &pool;
  store_ = &store;
  highest_epoch_ = CurrentEpoch(store.Get()).number;
  fill_.reset();
  filler_.reset();
}

void MirrorOracle::Ended(size_t session) {
  if (filler_ == session) filler_.reset();
}

Geometry MirrorOracle::CurrentGeometry() const {
  if (fill_) return *fill_;
  return store_->Get().state == CopyState::kConsistent ? pool_->geometry() : Geometry{};
}

void MirrorOracle::Taken(const EpochRecord& epochs) {
  const uint64_t number = epochs.history.back().epoch.number;
  Expect(number >= highest_epoch_, "a primary in epoch {} is taken, after one in {}", number,
         highest_epoch_);
  highest_epoch_ = number;
}

void MirrorOracle::FillBegan(size_t session, const FillRequest& request) {
  Expect(Uuid{request.superblock.set_uuid} == attached_set_,
         "a fill begins with another set than that of the primary");
  const auto geometry = GeometryOf(request.superblock);
  Expect(geometry.has_value(), "a fill begins with an impossible geometry");
  fill_ = *geometry;
  filler_ = session;
}

void MirrorOracle::FillEnded(size_t session) {
  Expect(filler_ == session, "a fill ends that had not begun");
  Expect(pool_->geometry().data == fill_->data && pool_->geometry().journal == fill_->journal,
         "a fill ends with another geometry than it began with");
  Expect(store_->Get().set_uuid == pool_->superblock().set_uuid,
         "private block and superblock name different sets");
  fill_.reset();
  filler_.reset();
}

void MirrorOracle::Answered(size_t session, bool authenticated_before,
                            const ControlSession& control, const Frame& request,
                            const Frame& answer) {
  const auto type = static_cast<int>(request.type);
  if (!authenticated_before) {
    const bool shaking = request.type == FrameType::kHello || request.type == FrameType::kProof;
    Expect(answer.type == FrameType::kRefused || shaking,
           "request {} is answered before the handshake", type);
    return;
  }
  if (answer.type == FrameType::kRefused) {
    const auto refusal = DecodeRefusal(answer.payload);
    Expect(refusal && !refusal->message.empty(), "request {} is refused without a reason", type);
    return;
  }
  Expect(control.replicates() || request.type == FrameType::kStatus,
         "request {} is answered on a connection for status", type);
  switch (request.type) {
    case FrameType::kAttach: {
      const auto attach = DecodeAttachRequest(request.payload);
      Taken(attach->epochs);
      attached_set_ = attach->set_uuid;
      filler_.reset();  // the one before is cut off
      break;
    }
    case FrameType::kSetEpoch:
      Taken(*DecodeEpochRecord(request.payload));
      break;
    case FrameType::kFillBegin: {
      const auto fill = DecodeFillRequest(request.payload);
      Taken(fill->epochs);
      FillBegan(session, *fill);
      break;
    }
    case FrameType::kFillEnd:
      Taken(DecodeFillRequest(request.payload)->epochs);
      FillEnded(session);
      break;
    case FrameType::kDetach:
      Ended(session);
      break;
    default:
      break;
  }
}

void MirrorOracle::CheckControlStores(GuardedView& view) const {
  for (const PoolRange& store : view.stores())
    Expect(
        Inside(kSuperblocks, store) || Inside(kPrivateBlocks, store) || Inside(kCommitLine, store),
        "a control message stores {} bytes at {}", store.length, store.offset);
}

void MirrorOracle::CheckDataStores(GuardedView& view) const {
  const Geometry geometry = CurrentGeometry();
  for (const PoolRange& store : view.stores())
    Expect(Inside(geometry.data, store) || Inside(geometry.journal, store) ||
               Inside(kCommitLine, store) || (filling() && IsMetadata(geometry, store)),
           "a data message stores {} bytes at {}", store.length, store.offset);
}

void MirrorOracle::CheckApplyStores(GuardedView& view) const {
  for (const PoolRange& store : view.stores())
    Expect(
        CurrentGeometry().IsHomeRange(store.offset, store.length) || Inside(kPrivateBlocks, store),
        "apply stores {} bytes at {}", store.length, store.offset);
}

void MirrorOracle::CheckWindows(const OpenTarget& target) const {
  const Geometry geometry = CurrentGeometry();
  for (const PoolRange& window : target.windows)
    Expect(Inside(geometry.data, window) || Inside(geometry.journal, window),
           "a window of {} bytes at {} is open", window.length, window.offset);
}

}  // namespace mirdax::fuzz
