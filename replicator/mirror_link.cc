// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/mirror_link.h"

#include <algorithm>
#include <new>

#include "fs/base/mutant.h"
#include "replicator/bytes.h"
#include "replicator/handshake.h"

namespace mirdax {
namespace {

// Written bytes that one message names, at most: its answer, which needs them to be durable, must
// come within the timeout.
constexpr uint32_t kMaxWrittenBytes = 16U << 20;

// A provider that copies bytes itself would send what is put in place of a page that is refused: so
// each page is met before. (That stops the filesystem, be it file data or not: a commit is under
// way that cannot be finished.)
void LoadPages(std::span<const std::byte> bytes) {
  const auto load = [](const std::byte& byte) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&byte));
  };
  for (size_t at = 0; at < bytes.size(); at += kBlockSize) load(bytes[at]);
  load(bytes.back());
}

const char* StateName(MirrorLink::State state) {
  switch (state) {
    case MirrorLink::State::kConnecting:
      return "connecting";
    case MirrorLink::State::kFilling:
      return "filling";
    case MirrorLink::State::kInSync:
      return "in-sync";
    case MirrorLink::State::kEjected:
      return "ejected";
  }
  return "unknown";
}

}  // namespace

Status CheckReadable(const ReplicationBatch& batch, const Region& region) {
  if (!region.bad().any()) return {};
  if (region.bad().in_metadata() != 0) return Fail(DescribeLoss(region.bad()));
  for (const PoolRange& range : batch.data)
    MIRDAX_TRY(region.CheckGood(range.offset, range.length));
  return {};
}

MirrorLink::MirrorLink(std::string address, MirrorDialer& dialer, Clock& clock,
                       std::chrono::milliseconds timeout)
    : address_(std::move(address)),
      dialer_(dialer),
      clock_(clock),
      timeout_(timeout),
      since_(clock.Now()) {}

Error MirrorLink::Named(Error error) const {
  error.message = fmt::format("mirror {}: {}", address_, error.message);
  if (error.code == ErrorCode::kPeerLost && !data_opened_)
    error.message += "; is mirdax-mirrord running there?";
  return error;
}

Result<std::vector<std::byte>> MirrorLink::Request(FrameType type,
                                                   std::span<const std::byte> payload,
                                                   std::chrono::milliseconds timeout) {
  const MutexLock one(control_mutex_);
  std::shared_ptr<FrameChannel> channel;
  {
    const MutexLock lock(channel_mutex_);
    channel = channel_;
  }
  if (channel == nullptr) return Fail(ErrorCode::kPeerLost, "not connected");
  // From here, not from when the request before this one was still under way.
  auto answer = Call(*channel, type, payload, After(clock_, timeout));
  if (answer) return answer;
  if (answer.error().code == ErrorCode::kTimedOut || answer.error().code == ErrorCode::kCorrupt) {
    // Its late answer would be taken for that of the next request.
    channel->Cut();
    const MutexLock lock(channel_mutex_);
    channel_.reset();
  }
  return Fail(Named(std::move(answer).error()));
}

Status MirrorLink::Learn(const std::vector<std::byte>& payload, uint64_t fill) {
  auto info = DecodeCopyInfo(payload);
  if (!info) return Fail(Named(std::move(info).error()));
  if (!info->error.empty() && state() == State::kInSync)
    return Fail(Named({ErrorCode::kIo, info->error}));
  SetApplied(info->tail, fill);
  return {};
}

Status MirrorLink::Attach(const AttachRequest& request, const Key* key, Random& random) {
  const Deadline deadline = After(clock_, setup_timeout());
  const auto connect = [&]() -> Result<CopyInfo> {
    MIRDAX_ASSIGN(std::shared_ptr<FrameChannel> channel, dialer_.DialControl(address_, deadline));
    MIRDAX_TRY(ClientHandshake(*channel, key, Purpose::kReplicate, random, deadline));
    MIRDAX_ASSIGN(const auto answer, Call(*channel, FrameType::kAttach, Encode(request), deadline));
    const MutexLock lock(channel_mutex_);
    channel_ = std::move(channel);
    return DecodeCopyInfo(answer);
  };
  auto info = connect();
  if (!info) return Fail(Named(std::move(info).error()));
  info_ = std::move(*info);
  acked_ = info_.commit;
  SetApplied(info_.tail, fill_number());
  const MutexLock lock(mutex_);
  copy_uuid_ = info_.copy_uuid.ToString();
  return {};
}

Result<std::unique_ptr<DataLink>> MirrorLink::DialData(const std::string& fabric,
                                                       std::span<std::byte> memory) {
  ByteWriter provider;
  provider.PutString(fabric);
  MIRDAX_ASSIGN(const auto open, Request(FrameType::kDataOpen, provider.Take(), setup_timeout()));
  auto endpoint = DecodeDataEndpoint(open);
  if (!endpoint) return Fail(Named(std::move(endpoint).error()));
  auto data = dialer_.DialData(*endpoint, memory, After(clock_, setup_timeout()));
  if (!data) return Fail(Named(std::move(data).error()));
  return data;
}

Status MirrorLink::TryData(const std::string& fabric, std::span<std::byte> memory) {
  MIRDAX_TRY(DialData(fabric, memory));
  return {};
}

Status MirrorLink::OpenData(const std::string& fabric, std::span<std::byte> memory) {
  MIRDAX_ASSIGN(auto data, DialData(fabric, memory));
  MIRDAX_ASSIGN(const auto keys, Request(FrameType::kDataKeys, {}, setup_timeout()));
  auto windows = DecodeWindows(keys);
  if (!windows) return Fail(Named(std::move(windows).error()));
  data_ = std::move(data);
  data_opened_ = true;
  data_->SetWindows(std::move(*windows));
  sent_ = answered_ = 0;
  return {};
}

Status MirrorLink::SetEpoch(const EpochRecord& epochs) {
  const uint64_t fill = fill_number();
  MIRDAX_ASSIGN(const auto answer, Request(FrameType::kSetEpoch, Encode(epochs), timeout_));
  return Learn(answer, fill);
}

void MirrorLink::StartFill(Lsn commit, EpochId epoch) {
  fill_epoch_ = epoch;
  joined_ = false;
  {
    const MutexLock lock(mutex_);
    ++fills_;
    fill_unanswered_ = true;
    acked_ = applied_ = commit;
    applied_at_ = clock_.MonotonicNanoseconds();
  }
  SetState(State::kFilling, "a full copy is being made");
}

Status MirrorLink::BeginFill(const FillRequest& request) {
  MIRDAX_ASSIGN(const auto answer,
                Request(FrameType::kFillBegin, Encode(request), setup_timeout()));
  {
    const MutexLock lock(mutex_);
    ++fills_;
    fill_unanswered_ = false;
  }
  return Learn(answer, fill_number());
}

Status MirrorLink::EndFill(const FillRequest& request) {
  const uint64_t fill = fill_number();
  MIRDAX_ASSIGN(const auto answer, Request(FrameType::kFillEnd, Encode(request), timeout_));
  acked_ = request.commit;
  return Learn(answer, fill);
}

Status MirrorLink::Heartbeat(Lsn apply_to) {
  const uint64_t fill = fill_number();
  ByteWriter payload;
  payload.Put(apply_to);
  MIRDAX_ASSIGN(const auto answer, Request(FrameType::kHeartbeat, payload.Take(), timeout_));
  return Learn(answer, fill);
}

void MirrorLink::Detach() { (void)Request(FrameType::kDetach, {}, timeout_); }

bool MirrorLink::SendMessage(EpochId epoch, Lsn from, Lsn to, bool last) {
  if (!AwaitCredit()) return false;
  const auto bytes = message_.Finish(sent_ + 1, epoch, from, to, last);
  if (Status status = data_->Send(bytes, StepDeadline()); !status) {
    GiveUp(std::move(status).error());
    return false;
  }
  ++sent_;
  return true;
}

bool MirrorLink::IsReadable(const PoolRange& range, const Region& region) {
  if (const Status good = region.CheckGood(range.offset, range.length); !good)
    GiveUp({ErrorCode::kIo, "nothing is sent to it, since here " + good.error().message});
  return !broken_;
}

bool MirrorLink::AddInline(const PoolRange& range, Region& region) {
  message_.AddInline(range.offset, {region.At(range.offset, range.length), range.length});
  return IsReadable(range, region);
}

bool MirrorLink::AddRange(const PoolRange& range, EpochId epoch, Region& region, Lsn from, Lsn to) {
  if (range.length <= data_->inline_limit()) {
    if (!message_.Fits(range.length)) {
      if (!SendMessage(epoch, from, to, false)) return false;
      message_.Begin(DataType::kSync);
    }
    return AddInline(range, region);
  }
  for (uint64_t done = 0; done < range.length;) {
    const auto length =
        static_cast<uint32_t>(std::min<uint64_t>(range.length - done, kMaxWrittenBytes));
    const uint64_t offset = range.offset + done;
    LoadPages({region.At(offset, length), length});
    if (!IsReadable({offset, length}, region)) return false;
    if (Status status = data_->Write(offset, {region.At(offset, length), length}, StepDeadline());
        !status) {
      GiveUp(std::move(status).error());
      return false;
    }
    if (!message_.Fits(0) || message_.written_bytes() + length > kMaxWrittenBytes) {
      if (!SendMessage(epoch, from, to, false)) return false;
      message_.Begin(DataType::kSync);
    }
    message_.AddWritten(offset, length);
    done += length;
  }
  return true;
}

void MirrorLink::Post(const ReplicationBatch& batch, EpochId epoch, Region& region,
                      const Geometry& geometry) {
  if (broken_) return;  // an empty batch asks whether the mirror is there
  try {
    TryPost(batch, epoch, region, geometry);
  } catch (const std::bad_alloc&) {  // half of a batch must not be followed by another
    GiveUp({ErrorCode::kNoMemory, {}});
  }
}

void MirrorLink::TryPost(const ReplicationBatch& batch, EpochId epoch, Region& region,
                         const Geometry& geometry) {
  if (state() == State::kFilling) epoch = fill_epoch_;
  message_.Begin(DataType::kSync);
  std::span<const PoolRange> data = batch.data;
  if (Mutated(Mutant::kPushLosesRange) && !data.empty()) data = data.first(data.size() - 1);
  for (const PoolRange& range : data)
    if (!AddRange(range, epoch, region, batch.from, batch.to)) return;
  const uint64_t size = geometry.journal.length;
  for (Lsn lsn = batch.from; lsn < batch.to;) {
    const uint64_t position = lsn % size;
    uint64_t length = std::min(batch.to - lsn, size - position);
    if (Mutated(Mutant::kJournalPushedAhead)) length += kLineSize;
    if (Mutated(Mutant::kPushLosesWrap) && lsn != batch.from) break;
    if (!AddRange({geometry.journal.offset + position, length}, epoch, region, batch.from,
                  batch.to))
      return;
    lsn += length;
  }
  // All of it was read: before it counts, was it what is there?
  if (Status readable = CheckReadable(batch, region); !readable)
    return GiveUp(std::move(readable).error());
  (void)SendMessage(epoch, batch.from, batch.to, true);
}

void MirrorLink::PostHome(const PoolRange& range, Lsn commit, Region& region) {
  constexpr uint64_t kPiece = kMaxDataMessage - 2 * kBlockSize;
  for (uint64_t done = 0; done < range.length && !broken_;) {
    const uint64_t length = std::min(range.length - done, kPiece);
    message_.Begin(DataType::kFillHome);
    if (AddInline({range.offset + done, length}, region))
      (void)SendMessage(fill_epoch_, commit, commit, false);
    done += length;
  }
}

void MirrorLink::PostZeros(const PoolRange& range, Lsn commit) {
  for (uint64_t done = 0; done < range.length && !broken_;) {
    const auto length =
        static_cast<uint32_t>(std::min<uint64_t>(range.length - done, kMaxWrittenBytes));
    message_.Begin(DataType::kFillZero);
    message_.AddWritten(range.offset + done, length);
    (void)SendMessage(fill_epoch_, commit, commit, false);
    done += length;
  }
}

void MirrorLink::FinishFill(Lsn commit) {
  if (broken_) return;
  message_.Begin(DataType::kSync);
  (void)SendMessage(fill_epoch_, commit, commit, true);
}

uint64_t MirrorLink::progress() const {
  return answered_ + (data_ == nullptr ? 0 : data_->completed());
}

bool MirrorLink::Collect() {
  while (!broken_ && answered_ < sent_) {
    auto came = data_->Poll(reply_);
    if (!came) {
      GiveUp(std::move(came).error());
      break;
    }
    if (!*came) return false;
    const auto reply = DecodeDataReply(reply_);
    if (!reply || reply->sequence != answered_ + 1) {
      GiveUp({ErrorCode::kCorrupt, "a malformed or unexpected answer"});
      break;
    }
    ++answered_;
    switch (static_cast<DataStatus>(reply->status)) {
      case DataStatus::kDurable:
        acked_ = reply->commit;
        SetApplied(reply->applied, fill_number());
        break;
      case DataStatus::kStale:
        GiveUp({ErrorCode::kStale, "it has seen a higher epoch: another copy was promoted"});
        break;
      case DataStatus::kRefused:
      case DataStatus::kFailed:
        GiveUp({ErrorCode::kIo, "it could not make the data durable; see its log"});
        break;
    }
  }
  return true;
}

bool MirrorLink::AwaitCredit() {
  Deadline deadline = StepDeadline();
  uint64_t seen = progress();
  while (!broken_ && sent_ - answered_ >= kDataWindow) {
    (void)Collect();
    if (broken_ || sent_ - answered_ < kDataWindow) break;
    if (progress() != seen) {
      seen = progress();
      deadline = StepDeadline();
    } else if (clock_.MonotonicNanoseconds() >= deadline) {
      GiveUp({ErrorCode::kTimedOut, "no answer in time"});
      break;
    }
    DataLink* link = data_.get();
    dialer_.WaitAny({&link, 1}, deadline);
  }
  return !broken_;
}

void MirrorLink::AwaitAnswers() {
  Deadline deadline = StepDeadline();
  uint64_t seen = progress();
  while (!Collect()) {
    if (progress() != seen) {
      seen = progress();
      deadline = StepDeadline();
    } else if (clock_.MonotonicNanoseconds() >= deadline) {
      GiveUp({ErrorCode::kTimedOut, "no answer in time"});
      return;
    }
    DataLink* link = data_.get();
    dialer_.WaitAny({&link, 1}, deadline);
  }
}

void MirrorLink::GiveUp(Error error) {
  broken_ = true;
  const ErrorCode code = error.code;
  try {
    MarkFailed(Named(std::move(error)));
  } catch (const std::bad_alloc&) {  // that it failed is what counts
    MarkFailed(Error{code, {}});
  }
}

void MirrorLink::MarkFailed(Error error) {
  const MutexLock lock(mutex_);
  if (!failure_) failure_ = WithWords(std::move(error));
}

uint64_t MirrorLink::fill_number() const {
  const MutexLock lock(mutex_);
  return fills_;
}

void MirrorLink::SetApplied(Lsn applied, uint64_t fill) {
  const MutexLock lock(mutex_);
  if (fill != fills_ || fill_unanswered_) return;
  if (applied_.exchange(applied) != applied) applied_at_ = clock_.MonotonicNanoseconds();
}

bool MirrorLink::attached() const {
  const MutexLock lock(channel_mutex_);
  return channel_ != nullptr;
}

bool MirrorLink::takes_batches() const {
  return state() == State::kInSync || (state() == State::kFilling && joined_);
}

std::chrono::nanoseconds MirrorLink::unapplied_for() const {
  return std::chrono::nanoseconds(clock_.MonotonicNanoseconds() - applied_at_);
}

void MirrorLink::MarkLagging(Lsn lsn, std::chrono::nanoseconds waited) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(waited);
  MarkFailed(Named({ErrorCode::kTimedOut,
                    fmt::format("it has applied its journal up to LSN {}, and space has waited for "
                                "{} for {} ms",
                                applied(), lsn, ms.count())}));
}

std::optional<Error> MirrorLink::failure() const {
  const MutexLock lock(mutex_);
  return failure_;
}

void MirrorLink::SetState(State state, const std::string& reason) {
  const MutexLock lock(mutex_);
  state_ = state;
  reason_ = reason;
  since_ = clock_.Now();
}

MirrorStatus MirrorLink::status() const {
  const MutexLock lock(mutex_);
  MirrorStatus status;
  status.address = address_;
  status.copy_uuid = copy_uuid_;
  status.state = StateName(state_);
  status.acked = acked_;
  status.applied = applied_;
  status.method = "target-flush";
  status.reason = reason_;
  status.since = since_;
  return status;
}

void MirrorLink::Cut() {
  {
    const MutexLock lock(channel_mutex_);
    if (channel_ != nullptr) channel_->Cut();
    channel_.reset();
  }
  broken_ = true;
  joined_ = false;
  data_.reset();
}

void MirrorLink::Reset() {
  const MutexLock lock(mutex_);
  failure_.reset();
  broken_ = false;
  data_opened_ = false;
}

}  // namespace mirdax
