// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/mirror_copy.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "fs/base/check.h"
#include "fs/base/mutant.h"
#include "fs/core/replay.h"
#include "fs/format/checksums.h"
#include "fs/format/superblock.h"
#include "replicator/epochs.h"

namespace mirdax {
namespace {

constexpr auto kKeysTimeout = std::chrono::seconds(5);
// Applying early costs CPU time that a sync may want; applying late costs the primary's journal.
constexpr uint64_t kApplyShare = 8;  // of the journal, before apply begins by itself

// A part of a batch that names this much is drained before it is answered: so that a large batch
// shows progress, and its last part is not left with all of the work.
constexpr uint64_t kDrainBytes = uint64_t{1} << 20;

bool Inside(const PoolRange& outer, uint64_t offset, uint64_t length) {
  return offset >= outer.offset && offset <= outer.end() && length <= outer.end() - offset;
}

// Stores only where something else is: a sparse pool stays sparse. What reads as zero may still be
// in flight from a fill that broke off, so all of it is flushed.
void ZeroBlocks(Region& region, const PoolRange& zeros) {
  constexpr std::array<std::byte, kBlockSize> kZeroBlock{};
  for (uint64_t at = zeros.offset; at < zeros.end(); at += kBlockSize) {
    const uint64_t length = std::min(kBlockSize, zeros.end() - at);
    if (std::memcmp(region.At(at, length), kZeroBlock.data(), length) != 0)
      region.StreamZeros(at, length);
  }
  region.Flush(zeros.offset, zeros.length);
}

}  // namespace

// Hands the messages of one session's data connection to the copy.
class MirrorCopy::Handler final : public DataHandler {
 public:
  Handler(MirrorCopy& copy, SessionId session) : copy_(copy), session_(session) {}
  std::optional<DataReply> OnDataMessage(std::span<const std::byte> message) override {
    return copy_.OnData(session_, message);
  }

 private:
  MirrorCopy& copy_;
  const SessionId session_;
};

Result<std::unique_ptr<MirrorCopy>> MirrorCopy::Open(Pool& pool, PrivateStore& private_store,
                                                     DataTargetFactory& targets, Clock& clock,
                                                     Random& random) {
  const PrivateBlock block = private_store.Get();
  if (block.role != Role::kMirror)
    return Fail(ErrorCode::kInvalid,
                "{}: this copy is a primary, not a mirror; mount it with mount.mirdax, or make a "
                "mirror with mkfs.mirdax --mirror",
                pool.path());
  std::unique_ptr<MirrorCopy> copy(new MirrorCopy(pool, private_store, targets, clock, random));
  const MutexLock lock(copy->state_mutex_);
  copy->epoch_ = copy->fence_ = CurrentEpoch(block);
  copy->tail_ = block.tail;
  copy->consistent_ = block.state == CopyState::kConsistent;
  if (copy->consistent_) {
    if (pool.blank())
      return Fail(ErrorCode::kCorrupt,
                  "{}: the private block says consistent, the superblock says never filled; format "
                  "it again with mkfs.mirdax --mirror --force",
                  pool.path());
    copy->geometry_ = pool.geometry();
    MIRDAX_ASSIGN(copy->commit_, ReadCommitWord(pool.region(), pool.geometry(), block.tail));
  }
  return copy;
}

MirrorCopy::MirrorCopy(Pool& pool, PrivateStore& private_store, DataTargetFactory& targets,
                       Clock& clock, Random& random)
    : pool_(pool),
      region_(pool.region()),
      private_store_(private_store),
      targets_(targets),
      clock_(clock),
      random_(random) {}

MirrorCopy::~MirrorCopy() {
  const MutexLock lock(attach_mutex_);
  Unplug();
}

void MirrorCopy::Unplug() {
  {
    const MutexLock state(state_mutex_);
    attached_ = {};
    filling_ = false;
  }
  // The handler may be waiting for state_mutex_ right now; it finds that nobody is attached.
  if (target_ != nullptr) target_->Close();
  target_.reset();
}

Status MirrorCopy::RequireAttached(SessionId session) const {
  const MutexLock state(state_mutex_);
  if (attached_.session != session || session == 0)
    return Fail(ErrorCode::kStale, "not attached, or another primary has taken this mirror over");
  return {};
}

Status MirrorCopy::RequireAttached(SessionId session, const EpochRecord& epochs) const {
  MIRDAX_TRY(RequireAttached(session));
  const MutexLock state(state_mutex_);
  const EpochId theirs = epochs.history.back().epoch;
  if (theirs.number < fence_.number)
    return Fail(ErrorCode::kStale, "epoch {} lies before {}, which has been here", ToString(theirs),
                ToString(fence_));
  return {};
}

Status MirrorCopy::CheckEpochs(const PrivateBlock& block, const AttachRequest& request) {
  const EpochId theirs = request.epochs.history.back().epoch;
  if (Mutated(Mutant::kOldPrimaryLetIn)) return {};
  switch (CompareEpochs(HistoryOf(block), request.epochs.history)) {
    case EpochRelation::kNone:
    case EpochRelation::kSame:
    case EpochRelation::kBehind:
      break;
    case EpochRelation::kAhead:
      return Fail(ErrorCode::kStale,
                  "this mirror is in epoch {}, the primary in {}: a copy was promoted since",
                  ToString(epoch_), ToString(theirs));
    case EpochRelation::kForked:
      return Fail(
          epoch_.number >= theirs.number ? ErrorCode::kStale : ErrorCode::kInvalid,
          "this mirror's epoch {} is not in the history of the primary, which is in {}: the "
          "copies went different ways; to keep the primary's, format the mirror again with "
          "mkfs.mirdax --mirror --force",
          ToString(epoch_), ToString(theirs));
  }
  if (theirs.number < fence_.number)
    return Fail(ErrorCode::kStale,
                "a primary in epoch {} has been here, this one is in {}: a copy was promoted since",
                ToString(fence_), ToString(theirs));
  return {};
}

Result<CopyInfo> MirrorCopy::Attach(SessionId session, const AttachRequest& request,
                                    const std::string& peer) {
  const MutexLock attach(attach_mutex_);
  const PrivateBlock block = private_store_.Get();
  if (block.state != CopyState::kBlank && Uuid{block.set_uuid} != request.set_uuid)
    return Fail(ErrorCode::kInvalid,
                "this mirror belongs to set {}, not to {}; to give it away, format it again with "
                "mkfs.mirdax --mirror --force",
                Uuid{block.set_uuid}.ToString(), request.set_uuid.ToString());
  if (std::find(request.attached.begin(), request.attached.end(), Uuid{block.copy_uuid}) !=
      request.attached.end())
    return Fail(
        ErrorCode::kInvalid,
        "this is copy {}, to which the primary is attached by another address; name it once",
        Uuid{block.copy_uuid}.ToString());
  {
    const MutexLock state(state_mutex_);
    MIRDAX_TRY(CheckEpochs(block, request));
    if (attached_.session != 0) spdlog::info("primary {} is replaced by {}", attached_.peer, peer);
  }
  Unplug();
  const MutexLock state(state_mutex_);
  fence_ = request.epochs.history.back().epoch;
  attached_ = {session, request.set_uuid, request.copy_uuid, peer, clock_.Now(), 0};
  spdlog::info("primary {} attached in epoch {}", peer, ToString(fence_));
  return InfoLocked();
}

Result<DataEndpoint> MirrorCopy::OpenData(SessionId session, const std::string& provider) {
  const MutexLock attach(attach_mutex_);
  MIRDAX_TRY(RequireAttached(session));
  if (target_ != nullptr) target_->Close();
  Cookie cookie{};
  random_.Fill(std::as_writable_bytes(std::span(cookie)));
  MIRDAX_ASSIGN(target_, targets_.Listen(provider, cookie, region_.memory(),
                                         std::make_shared<Handler>(*this, session)));
  const MutexLock state(state_mutex_);
  attached_.sequence = 0;
  return target_->endpoint();
}

Result<std::vector<RemoteWindow>> MirrorCopy::GiveKeys(SessionId session) {
  const MutexLock attach(attach_mutex_);
  MIRDAX_TRY(RequireAttached(session));
  std::array<PoolRange, 2> windows;
  {
    const MutexLock state(state_mutex_);
    if (target_ == nullptr || geometry_.pool_size == 0)
      return Fail(ErrorCode::kInvalid, "no data connection was asked for, or the copy is blank");
    windows = {geometry_.journal, geometry_.data};
    if (Mutated(Mutant::kHomePushTaken)) windows[0] = {0, geometry_.pool_size};
  }
  return target_->Register(windows, After(clock_, kKeysTimeout));
}

Result<CopyInfo> MirrorCopy::SetEpoch(SessionId session, const EpochRecord& epochs) {
  const MutexLock attach(attach_mutex_);
  MIRDAX_TRY(RequireAttached(session, epochs));
  const PrivateBlock block = private_store_.Get();
  const EpochRelation relation = CompareEpochs(HistoryOf(block), epochs.history);
  if (block.state != CopyState::kConsistent ||
      (relation != EpochRelation::kSame && relation != EpochRelation::kBehind))
    return Fail(ErrorCode::kStale, "epoch {} does not follow this mirror's {}",
                ToString(epochs.history.back().epoch), ToString(CurrentEpoch(block)));
  if (!Mutated(Mutant::kMirrorEpochNotStored))
    MIRDAX_TRY(private_store_.Update([&](PrivateBlock& next) { StoreEpochs(epochs, next); }));
  const MutexLock state(state_mutex_);
  epoch_ = fence_ = epochs.history.back().epoch;
  return InfoLocked();
}

Result<CopyInfo> MirrorCopy::Heartbeat(SessionId session, Lsn apply_to) {
  MIRDAX_TRY(RequireAttached(session));
  const MutexLock state(state_mutex_);
  apply_to_ = std::max(apply_to_, std::min(apply_to, commit_));
  if (apply_to_ > tail_) work_.NotifyAll();
  return InfoLocked();
}

void MirrorCopy::EndSession(SessionId session) {
  const MutexLock attach(attach_mutex_);
  {
    const MutexLock state(state_mutex_);
    if (attached_.session != session || session == 0) return;
    spdlog::info("primary {} left", attached_.peer);
    apply_to_ = commit_;  // nothing else to do now
    work_.NotifyAll();
  }
  Unplug();
}

bool MirrorCopy::Allowed(const DataHeader& header, const DataRange& range) const {
  if (Mutated(Mutant::kHomePushTaken)) return true;
  if (header.type != DataType::kSync)
    return filling_ && (range.flags == kRangeInline) == (header.type == DataType::kFillHome) &&
           (Inside(geometry_.block_bitmap, range.offset, range.length) ||
            Inside(geometry_.inode_bitmap, range.offset, range.length) ||
            Inside(geometry_.orphan_bitmap, range.offset, range.length) ||
            Inside(geometry_.inode_table, range.offset, range.length));
  if (Inside(geometry_.data, range.offset, range.length)) return true;
  if (!Inside(geometry_.journal, range.offset, range.length)) return false;
  // Journal bytes: only those of [from, to), which may go around the end.
  const uint64_t size = geometry_.journal.length;
  const uint64_t position = range.offset - geometry_.journal.offset;
  const uint64_t begin = header.from % size;
  const uint64_t distance = (position + size - begin) % size;  // from `from`
  return distance + range.length <= header.to - header.from;
}

Status MirrorCopy::CheckRequest(const DataRequest& request) const {
  const DataHeader& header = request.header;
  if (header.sequence != attached_.sequence + 1)
    return Fail(ErrorCode::kInvalid, "message {} where {} was expected", header.sequence,
                attached_.sequence + 1);
  const bool aligned = header.from % kLineSize == 0 && header.to % kLineSize == 0;
  if (!filling_ && !consistent_)
    return Fail(ErrorCode::kInvalid, "this copy is not consistent and not being filled");
  if (header.from != commit_ || header.to < header.from || !aligned ||
      header.to - tail_ > geometry_.journal.length)
    return Fail(ErrorCode::kInvalid,
                "journal bytes {} to {} do not follow commit word {} (tail {}, journal of {})",
                header.from, header.to, commit_, tail_, geometry_.journal.length);
  for (const DataRange& range : request.ranges)
    if (!Allowed(header, range))
      return Fail(ErrorCode::kInvalid, "a push of {} bytes at offset {} is outside its window",
                  range.length, range.offset);
  return {};
}

Status MirrorCopy::Store(const DataRequest& request) {
  const DataHeader& header = request.header;
  std::span<const std::byte> rest = request.inline_bytes;
  uint64_t bytes = 0;
  for (const DataRange& range : request.ranges) {
    if (range.flags == kRangeInline) {
      region_.Stream(range.offset, rest.first(range.length));
      rest = rest.subspan(range.length);
    } else if (header.type == DataType::kFillZero) {
      ZeroBlocks(region_, {range.offset, range.length});
    } else if (!Mutated(Mutant::kMirrorRangesNotFlushed)) {
      region_.Flush(range.offset, range.length);
    }
    MIRDAX_TRY(region_.CheckGood(range.offset, range.length));  // else it did not arrive
    bytes += range.length;
  }
  if ((header.flags & kDataLast) == 0 && bytes < kDrainBytes) return {};
  const bool publishes = header.to != header.from && (header.flags & kDataLast) != 0;
  const bool skips =
      Mutated(Mutant::kMirrorDataNotDrained) || (Mutated(Mutant::kFillEndsFirst) && filling_);
  if (skips && !publishes) return {};
  if (!Mutated(Mutant::kMirrorWordFirst)) MIRDAX_TRY(region_.Drain());  // I1: data, record first
  if (!publishes) return {};
  region_.Store64(kCommitLineOffset, header.to);
  if (!Mutated(Mutant::kMirrorWordNotFlushed))
    MIRDAX_TRY(region_.Persist(kCommitLineOffset, kLineSize));
  commit_ = header.to;
  if (commit_ - tail_ >= geometry_.journal.length / kApplyShare) work_.NotifyAll();
  return {};
}

std::optional<DataReply> MirrorCopy::OnData(SessionId session, std::span<const std::byte> message) {
  try {
    return TryOnData(session, message);
  } catch (const std::bad_alloc&) {  // a message lost ends the connection
    if (Mutated(Mutant::kLostMessageDurable)) {
      DataHeader header;
      std::memcpy(&header, message.data(), sizeof(header));
      return MakeDataReply(header.sequence, DataStatus::kDurable, header.to, header.from);
    }
    return std::nullopt;
  }
}

std::optional<DataReply> MirrorCopy::TryOnData(SessionId session,
                                               std::span<const std::byte> message) {
  const auto request = DecodeDataRequest(message);
  const MutexLock state(state_mutex_);
  if (session != attached_.session) return std::nullopt;  // fenced (I4)
  if (!request) {
    spdlog::error("primary {}: {}; connection dropped", attached_.peer, request.error().message);
    return std::nullopt;
  }
  const uint64_t sequence = request->header.sequence;
  const auto answer = [&](DataStatus status) MIRDAX_REQUIRES(state_mutex_) {
    const bool early = Mutated(Mutant::kMirrorTailIsCommit);
    return MakeDataReply(sequence, status, commit_, early ? commit_ : tail_);
  };
  if (request->header.epoch != epoch_) return answer(DataStatus::kStale);
  if (!error_.empty()) return answer(DataStatus::kFailed);
  if (const Status status = CheckRequest(*request); !status) {
    spdlog::error("primary {}: {}; connection dropped", attached_.peer, status.error().message);
    return std::nullopt;
  }
  attached_.sequence = sequence;
  if (const Status status = Store(*request); !status) {
    error_ = status.error().message;
    spdlog::critical("{}: {}; nothing is taken any more", pool_.path(), error_);
    return answer(DataStatus::kFailed);
  }
  return answer(DataStatus::kDurable);
}

void MirrorCopy::AwaitApplyWork(std::chrono::milliseconds max_wait) {
  const MutexLock state(state_mutex_);
  const auto due = [&]() MIRDAX_REQUIRES(state_mutex_) {
    if (!(consistent_ || filling_) || !error_.empty()) return false;
    return apply_to_ > tail_ || commit_ - tail_ >= geometry_.journal.length / kApplyShare;
  };
  if (!interrupted_ && !due()) work_.WaitFor(state_mutex_, max_wait);
}

void MirrorCopy::Interrupt() {
  const MutexLock state(state_mutex_);
  interrupted_ = true;
  work_.NotifyAll();
}

Status MirrorCopy::Apply() {
  const MutexLock apply(apply_mutex_);
  Geometry geometry;
  Lsn from = 0;
  Lsn to = 0;
  {
    const MutexLock state(state_mutex_);
    if (!error_.empty()) return Fail(ErrorCode::kIo, "{}", error_);
    if (!(consistent_ || filling_) || tail_ == commit_) return {};
    geometry = geometry_;
    from = tail_;
    to = commit_;  // I2
  }
  Lsn end = to;
  if (Mutated(Mutant::kMirrorAppliesAhead)) {
    const auto next = ReadRecord(region_, geometry, to, from + geometry.journal.length);
    if (next) end += next->header.length;
  }
  const auto store_tail = [&] {
    return private_store_.Update([&](PrivateBlock& next) { next.tail = to; });
  };
  if (Mutated(Mutant::kMirrorTailFirst)) MIRDAX_TRY(store_tail());
  Status status = {};
  try {
    if (auto replayed = ReplayJournal(region_, geometry, from, end); !replayed)
      status = Fail(std::move(replayed).error());
  } catch (const std::bad_alloc&) {
    if (!Mutated(Mutant::kLostApplyCounts)) throw;  // nothing is lost: the next call does it all
  }
  if (status && !Mutated(Mutant::kMirrorTailNotStored)) status = store_tail();
  const MutexLock state(state_mutex_);
  if (status) {
    tail_ = to;  // I6
    return {};
  }
  error_ = status.error().message;
  spdlog::critical("{}: applying the journal from {} to {} failed: {}; nothing is taken any more",
                   pool_.path(), from, to, error_);
  return status;
}

CopyInfo MirrorCopy::Info() const {
  const MutexLock state(state_mutex_);
  return InfoLocked();
}

CopyInfo MirrorCopy::InfoLocked() const {
  const PrivateBlock block = private_store_.Get();
  CopyInfo info;
  info.set_uuid = Uuid{block.set_uuid};
  info.copy_uuid = Uuid{block.copy_uuid};
  info.role = block.role;
  info.state = block.state;
  info.pool_size = region_.size();
  info.commit = commit_;
  info.tail = tail_;
  const std::span<const EpochEntry> history = HistoryOf(block);
  info.history.assign(history.begin(), history.end());
  info.error = error_;
  return info;
}

}  // namespace mirdax
