// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/hostile_primary.h"

#include <algorithm>
#include <cstring>

#include "fs/core/journal_writer.h"
#include "fs/core/recovery.h"
#include "fs/format/checksums.h"
#include "replicator/bytes.h"
#include "replicator/epochs.h"
#include "tests/fuzz/set_images.h"
#include "tests/fuzz/target.h"

namespace mirdax::fuzz {
namespace {

constexpr uint64_t kMessages = 14;
constexpr uint64_t kDataMessages = 8;
constexpr Lsn kFillCommit = 4096;

template <typename T>
T Must(Result<T> result) {
  MIRDAX_CHECK(result.has_value());
  return std::move(*result);
}

}  // namespace

const Grammar& HostilePrimary::Steps() {
  static const Grammar steps = [] {
    const auto index = [](uint64_t limit) { return Argument{Argument::kIndex, limit}; };
    const Argument offset{Argument::kOffset, uint64_t{1} << 21};
    Grammar all = {
        {"start", {index(2)}},
        {"key", {}},
        {"session", {index(kSessions)}},
        {"hangup", {}},
        {"restart", {}},
        {"epoch", {index(3)}},
        {"forget", {}},
        {"send", {index(kMessages)}},
        {"send_as", {index(kMessages), index(26)}},
        {"data", {index(kDataMessages), index(16)}},
        {"write", {index(2), offset, offset, {Argument::kValue}}},
        {"apply", {}},
    };
    PayloadEdits::AddSteps(all);
    return all;
  }();
  return steps;
}

HostilePrimary::HostilePrimary() {
  GuardedView primary(TheSetImages().primary);
  superblock_ = primary.As<Superblock>(kSuperblockOffset);
  const PrivateBlock block = Must(PrivateStore::Open(primary))->Get();
  copy_uuid_ = Uuid{block.copy_uuid};
  epochs_ = EpochsOf(block);
}

HostilePrimary::~HostilePrimary() {
  for (Session& each : sessions_) each.control.reset();
  copy_.reset();
}

void HostilePrimary::Begin(bool in_sync) {
  const SetImages& images = TheSetImages();
  auto view = std::make_unique<GuardedView>(in_sync ? images.mirror : images.blank_mirror);
  view_ = view.get();
  pool_ = Must(test::MemoryPool::Open(std::move(view)));
  Restart();
}

void HostilePrimary::Restart() {
  for (Session& each : sessions_) each = {};
  copy_.reset();
  store_ = Must(PrivateStore::Open(*view_));
  auto copy = MirrorCopy::Open(*pool_, *store_, targets_, clock_, random_);
  Expect(copy.has_value(), "the daemon does not start again: {}", copy ? "" : copy.error().message);
  copy_ = std::move(*copy);
  oracle_.Started(*pool_, *store_);
}

void HostilePrimary::Run(const Recipe& recipe) {
  bool in_sync = false;
  size_t first = 0;
  for (; first < recipe.size(); ++first) {
    const std::string_view word = Steps()[recipe[first].kind].word;
    if (word == "start") {
      in_sync = recipe[first].numbers[0] % 2 == 1;
    } else if (word == "key") {
      key_ = std::make_shared<Key>(std::vector<std::byte>(kMinKeyBytes, std::byte{'k'}));
    } else {
      break;
    }
  }
  Begin(in_sync);
  for (; first < recipe.size(); ++first)
    TakeStep(Steps()[recipe[first].kind].word, recipe[first].numbers);
  // What is left of the copy can be served again, and recovered or not.
  Restart();
  (void)copy_->StatusDocument("direct");
  copy_.reset();
  if (!pool_->blank()) (void)RecoverPool(*pool_, *store_, true);
}

void HostilePrimary::TakeStep(std::string_view word, const Numbers& n) {
  if (pending_.Take(word, n)) return;
  view_->ForgetStores();
  if (word == "session") {
    current_ = n[0] % kSessions;
  } else if (word == "hangup") {
    EndSession();
  } else if (word == "restart") {
    Restart();
  } else if (word == "epoch") {
    if (epochs_.history.size() == kHistoryLength) epochs_.history.erase(epochs_.history.begin());
    const uint64_t number = epoch().number + 1 + n[0] % 3;
    epochs_.history.push_back({{number, number * 7919}, 0, 0});
  } else if (word == "forget") {
    if (epochs_.history.size() > 1) epochs_.history.pop_back();
  } else if (word == "send") {
    Send(n[0], std::nullopt);
  } else if (word == "send_as") {
    Send(n[0], static_cast<FrameType>(n[1]));
  } else if (word == "data") {
    SendData(n[0], n[1]);
  } else if (word == "write") {
    WriteOneSided(n);
  } else if (word == "apply") {
    (void)copy_->Apply();
    oracle_.CheckApplyStores(*view_);
  }
  if (targets_.live() != nullptr) oracle_.CheckWindows(*targets_.live());
}

HostilePrimary::Session& HostilePrimary::session() {
  Session& now = sessions_[current_];
  if (now.control == nullptr) {
    now = {};
    now.control =
        std::make_unique<ControlSession>(*copy_, next_session_++, "fuzz", key_, random_, "direct");
  }
  return now;
}

void HostilePrimary::EndSession() {
  sessions_[current_] = {};
  oracle_.Ended(current_);
  oracle_.CheckControlStores(*view_);
}

Frame HostilePrimary::Compose(uint64_t n) {
  const Session& now = session();
  ByteWriter writer;
  switch (n % kMessages) {
    case 0:
    case 1: {
      Hello hello;
      hello.auth = key_ == nullptr ? AuthMode::kNone : AuthMode::kSharedKey;
      hello.purpose = n % kMessages == 0 ? Purpose::kReplicate : Purpose::kStatus;
      return {FrameType::kHello, Encode(hello)};
    }
    case 2:
      writer.Put(key_ == nullptr ? Mac{} : key_->ProofOfClient(now.hello, now.challenge));
      return {FrameType::kProof, writer.Take()};
    case 3:
      return {FrameType::kStatus, {}};
    case 4:
      return {FrameType::kAttach,
              Encode(AttachRequest{Uuid{superblock_.set_uuid}, copy_uuid_, epochs_})};
    case 5:
      writer.PutString("auto");
      return {FrameType::kDataOpen, writer.Take()};
    case 6:
      return {FrameType::kDataKeys, {}};
    case 7:
      return {FrameType::kSetEpoch, Encode(epochs_)};
    case 8:
      return {FrameType::kFillBegin, Encode(FillRequest{superblock_, epochs_, kFillCommit})};
    case 9:
      return {FrameType::kFillEnd, Encode(FillRequest{superblock_, epochs_, kFillCommit})};
    case 10:
      writer.Put(copy_->Info().commit);
      return {FrameType::kHeartbeat, writer.Take()};
    case 11:
      return {FrameType::kDetach, {}};
    case 12:
      return {FrameType::kReply, Encode(copy_->Info())};
    default:
      return RefusalFrame({ErrorCode::kStale, "no"});
  }
}

void HostilePrimary::Send(uint64_t message, std::optional<FrameType> type) {
  Session& now = session();
  Frame frame = Compose(message);
  if (type) frame.type = *type;
  pending_.Resize(frame.payload);
  pending_.Change(frame.payload);
  // The superblock inside travels with a checksum of its own.
  const bool fill = frame.type == FrameType::kFillBegin || frame.type == FrameType::kFillEnd;
  if (fill && !pending_.broken && frame.payload.size() >= sizeof(Superblock))
    Seal(*reinterpret_cast<Superblock*>(frame.payload.data()));
  pending_ = {};
  if (frame.payload.size() > now.control->frame_limit()) return;  // the channel refuses it
  const bool authenticated = now.control->authenticated();
  bool hang_up = false;
  const Frame answer = now.control->Handle(frame, hang_up);
  Expect(answer.payload.size() <= kMaxFrame, "an answer of {} bytes", answer.payload.size());
  if (frame.type == FrameType::kHello) now.hello = frame.payload;
  if (answer.type == FrameType::kChallenge) now.challenge = answer.payload;
  const bool fresh = frame.type == FrameType::kAttach || frame.type == FrameType::kDataOpen;
  if (fresh && answer.type == FrameType::kReply) now.sequence = 0;
  oracle_.Answered(current_, authenticated, *now.control, frame, answer);
  oracle_.CheckControlStores(*view_);
  if (hang_up) EndSession();
}

void HostilePrimary::AddRecord(DataMessage& message, const Geometry& geometry, uint64_t home,
                               Lsn& to) {
  const Lsn from = to;
  RecordBuilder record;
  record.Add(home, std::array<std::byte, kLineSize>{std::byte{5}});
  record.Seal(from, from, epoch().number);
  std::vector<std::byte> bytes(record.front().begin(), record.front().end());
  bytes.insert(bytes.end(), record.bytes().begin(), record.bytes().end());
  const uint64_t position = from % geometry.journal.length;
  const uint64_t front = std::min<uint64_t>(bytes.size(), geometry.journal.length - position);
  message.AddInline(geometry.journal.offset + position, std::span(bytes).first(front));
  if (front < bytes.size())
    message.AddInline(geometry.journal.offset, std::span(bytes).subspan(front));
  to += bytes.size();
}

std::vector<std::byte> HostilePrimary::ComposeData(uint64_t n, uint64_t block) {
  Geometry geometry = oracle_.CurrentGeometry();
  if (geometry.data_blocks == 0) geometry = Must(GeometryOf(superblock_));
  const uint64_t place = geometry.data.offset + block % geometry.data_blocks * kBlockSize;
  const std::array<std::byte, kBlockSize> bytes{std::byte{7}};
  const Lsn from = copy_->Info().commit;
  Lsn to = from;
  bool last = true;
  DataMessage message;
  message.Begin(DataType::kSync);
  switch (n % kDataMessages) {
    case 0:  // data and a record
      message.AddInline(place, bytes);
      AddRecord(message, geometry, place, to);
      break;
    case 1:  // a record
      AddRecord(message, geometry, place, to);
      break;
    case 2:  // data
      message.AddInline(place, bytes);
      break;
    case 3:
      message.Begin(DataType::kFillHome);
      message.AddInline(geometry.block_bitmap.offset, bytes);
      last = false;
      break;
    case 4:
      message.Begin(DataType::kFillZero);
      message.AddWritten(geometry.inode_table.offset,
                         static_cast<uint32_t>(geometry.inode_table.length));
      last = false;
      break;
    case 5:  // data that one-sided writes have brought
      message.AddWritten(place, kBlockSize);
      message.AddWritten(geometry.data.offset, kLineSize);
      break;
    case 6:  // much journal, of which nothing was written
      to = from + geometry.journal.length / 2;
      break;
    default:  // nothing
      break;
  }
  const auto finished = message.Finish(session().sequence + 1, epoch(), from, to, last);
  return {finished.begin(), finished.end()};
}

void HostilePrimary::SendData(uint64_t message, uint64_t block) {
  std::vector<std::byte> bytes = ComposeData(message, block);
  pending_.Resize(bytes);
  const bool has_header = bytes.size() >= sizeof(DataHeader);
  if (has_header) {
    const auto length = static_cast<uint32_t>(bytes.size());
    std::memcpy(bytes.data() + offsetof(DataHeader, length), &length, sizeof(length));
  }
  pending_.Change(bytes);
  if (has_header && !pending_.broken) {
    const uint32_t crc = ChecksumOf(bytes, offsetof(DataHeader, crc));
    std::memcpy(bytes.data() + offsetof(DataHeader, crc), &crc, sizeof(crc));
  }
  pending_ = {};
  const OpenTarget* target = targets_.live();
  if (target == nullptr || bytes.size() > kMaxDataMessage) return;
  const std::shared_ptr<DataHandler> handler = target->handler;
  const std::optional<DataReply> reply = handler->OnDataMessage(bytes);
  oracle_.CheckDataStores(*view_);
  if (!reply) {
    targets_.DropConnection();
    return;
  }
  if (static_cast<DataStatus>(reply->status) != DataStatus::kDurable) return;
  ++session().sequence;
  Expect(oracle_.filling() || reply->commit == view_->As<CommitLine>(kCommitLineOffset).commit,
         "an answer names another commit word than the pool's");
}

void HostilePrimary::WriteOneSided(const Numbers& n) {
  const OpenTarget* target = targets_.live();
  if (target == nullptr || target->windows.empty()) return;
  const PoolRange window = target->windows[n[0] % target->windows.size()];
  const uint64_t offset = n[1] % window.length;
  const uint64_t length = std::min(n[2] % (uint64_t{1} << 16), window.length - offset);
  std::memset(view_->memory().data() + window.offset + offset, static_cast<int>(n[3] & 0xff),
              length);
}

}  // namespace mirdax::fuzz
