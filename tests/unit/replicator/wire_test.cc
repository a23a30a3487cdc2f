// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "replicator/control_wire.h"
#include "replicator/data_wire.h"
#include "replicator/epochs.h"

namespace mirdax {
namespace {

EpochRecord SomeEpochs() {
  EpochRecord epochs;
  epochs.history = {{{1, 11}, 0, 5}, {{3, 33}, 640, 9}};
  Member member{};
  member.copy_uuid[0] = 7;
  member.state = MemberState::kInSync;
  epochs.members = {member};
  return epochs;
}

Result<Frame> Decode(const std::vector<std::byte>& bytes, size_t limit = kMaxFrame) {
  if (bytes.size() < sizeof(FrameHeader)) return Fail(ErrorCode::kCorrupt, "short");
  MIRDAX_ASSIGN(const FrameHeader header,
                DecodeFrameHeader(std::span(bytes).first<sizeof(FrameHeader)>(), limit));
  return DecodeFrame(header, {bytes.begin() + sizeof(FrameHeader), bytes.end()});
}

TEST(ControlWire, AFrameComesOutAsItWentIn) {
  const Frame frame{FrameType::kSetEpoch, Encode(SomeEpochs())};
  const auto decoded = Decode(EncodeFrame(frame));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->type, frame.type);
  EXPECT_EQ(decoded->payload, frame.payload);
  const auto epochs = DecodeEpochRecord(decoded->payload);
  ASSERT_TRUE(epochs.has_value());
  ASSERT_EQ(epochs->history.size(), 2U);
  EXPECT_EQ(epochs->history[1].epoch, (EpochId{3, 33}));
  EXPECT_EQ(epochs->members[0].copy_uuid[0], 7);
}

TEST(ControlWire, EveryFlippedByteOfAFrameIsNoticed) {
  const std::vector<std::byte> good = EncodeFrame({FrameType::kSetEpoch, Encode(SomeEpochs())});
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<std::byte> bad = good;
    bad[i] ^= std::byte{0x10};
    EXPECT_FALSE(Decode(bad).has_value()) << "byte " << i;
  }
}

TEST(ControlWire, AMessageLongerThanTheLimitIsRefusedByItsHeader) {
  const std::vector<std::byte> bytes =
      EncodeFrame({FrameType::kHello, std::vector<std::byte>(kMaxFrameBeforeAuth + 1)});
  const auto decoded = Decode(bytes, kMaxFrameBeforeAuth);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
}

TEST(ControlWire, EveryTruncatedPayloadIsRefused) {
  CopyInfo info;
  info.role = Role::kMirror;
  info.state = CopyState::kConsistent;
  info.history = SomeEpochs().history;
  info.error = "why";
  DataEndpoint endpoint;
  endpoint.provider = "tcp";
  endpoint.address.resize(16);
  const std::vector<RemoteWindow> windows(2);
  const auto check = [](const std::vector<std::byte>& good, auto decode) {
    ASSERT_TRUE(decode(good).has_value());
    for (size_t length = 0; length < good.size(); ++length)
      EXPECT_FALSE(decode(std::vector(good.begin(), good.begin() + static_cast<ptrdiff_t>(length)))
                       .has_value());
    std::vector<std::byte> longer = good;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode(longer).has_value());
  };
  check(Encode(Hello{}), [](const auto& bytes) { return DecodeHello(bytes); });
  check(Encode(Challenge{}), [](const auto& bytes) { return DecodeChallenge(bytes); });
  check(Encode(info), [](const auto& bytes) { return DecodeCopyInfo(bytes); });
  check(Encode(endpoint), [](const auto& bytes) { return DecodeDataEndpoint(bytes); });
  check(Encode(std::span<const RemoteWindow>(windows)),
        [](const auto& bytes) { return DecodeWindows(bytes); });
  check(Encode(SomeEpochs()), [](const auto& bytes) { return DecodeEpochRecord(bytes); });
  check(Encode(FillRequest{{}, SomeEpochs(), 64}),
        [](const auto& bytes) { return DecodeFillRequest(bytes); });
}

TEST(ControlWire, AHistoryOutOfOrderIsRefused) {
  EpochRecord epochs = SomeEpochs();
  std::swap(epochs.history[0], epochs.history[1]);
  EXPECT_FALSE(DecodeEpochRecord(Encode(epochs)).has_value());
}

TEST(ControlWire, ARefusalKeepsItsCodeAndLosesControlCharacters) {
  const Frame frame = RefusalFrame({ErrorCode::kStale, "a\x1b[31mb"});
  const auto refusal = DecodeRefusal(frame.payload);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(ErrorOf(*refusal).code, ErrorCode::kStale);
  EXPECT_EQ(ErrorOf(*refusal).message, "a?[31mb");
}

TEST(ControlWire, ARefusalWithoutAWordSaysThatThereWasNoMemory) {
  const Error error = ErrorOfRefusal({});
  EXPECT_EQ(error.code, ErrorCode::kPeerLost);
  EXPECT_NE(error.message.find("no memory"), std::string::npos);
}

TEST(ControlWire, WhatAMirrorSaysOfItselfLosesControlCharacters) {
  CopyInfo info;
  info.role = Role::kMirror;
  info.state = CopyState::kConsistent;
  info.history = SomeEpochs().history;
  info.error = "a\x1b[31mb\x7f";
  const auto decoded = DecodeCopyInfo(Encode(info));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->error, "a?[31mb?");
  DataEndpoint endpoint;
  endpoint.provider = "t\ncp";
  endpoint.address.resize(16);
  const auto named = DecodeDataEndpoint(Encode(endpoint));
  ASSERT_TRUE(named.has_value());
  EXPECT_EQ(named->provider, "t?cp");
}

std::vector<std::byte> SomeRequest() {
  DataMessage message;
  message.Begin(DataType::kSync);
  message.AddWritten(8192, 64);
  message.AddInline(4096, std::vector<std::byte>(128, std::byte{5}));
  const auto bytes = message.Finish(7, {3, 33}, 64, 256, true);
  return {bytes.begin(), bytes.end()};
}

TEST(DataWire, ARequestComesOutAsItWentIn) {
  const std::vector<std::byte> bytes = SomeRequest();
  const auto request = DecodeDataRequest(bytes);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->header.sequence, 7U);
  EXPECT_EQ(request->header.epoch, (EpochId{3, 33}));
  EXPECT_EQ(request->header.from, 64U);
  EXPECT_EQ(request->header.to, 256U);
  EXPECT_EQ(request->header.flags, kDataLast);
  ASSERT_EQ(request->ranges.size(), 2U);
  EXPECT_EQ(request->ranges[0].offset, 8192U);
  EXPECT_EQ(request->inline_bytes.size(), 128U);
}

TEST(DataWire, EveryFlippedByteAndEveryTruncationIsNoticed) {
  const std::vector<std::byte> good = SomeRequest();
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<std::byte> bad = good;
    bad[i] ^= std::byte{1};
    EXPECT_FALSE(DecodeDataRequest(bad).has_value()) << "byte " << i;
    EXPECT_FALSE(DecodeDataRequest(std::span(good).first(i)).has_value()) << "length " << i;
  }
  const DataReply reply = MakeDataReply(3, DataStatus::kDurable, 128, 64);
  std::vector<std::byte> bytes(sizeof(reply));
  std::memcpy(bytes.data(), &reply, sizeof(reply));
  EXPECT_TRUE(DecodeDataReply(bytes).has_value());
  for (std::byte& byte : bytes) {
    byte ^= std::byte{4};
    EXPECT_FALSE(DecodeDataReply(bytes).has_value());
    byte ^= std::byte{4};
  }
}

TEST(Epochs, TheRelationOfTwoHistoriesIsWhatTheirLastEntriesSay) {
  const std::vector<EpochEntry> one = {{{1, 1}, 0, 0}};
  const std::vector<EpochEntry> two = {{{1, 1}, 0, 0}, {{2, 2}, 0, 0}};
  const std::vector<EpochEntry> fork = {{{1, 1}, 0, 0}, {{2, 9}, 0, 0}};
  EXPECT_EQ(CompareEpochs({}, one), EpochRelation::kNone);
  EXPECT_EQ(CompareEpochs(two, two), EpochRelation::kSame);
  EXPECT_EQ(CompareEpochs(one, two), EpochRelation::kBehind);
  EXPECT_EQ(CompareEpochs(two, one), EpochRelation::kAhead);
  EXPECT_EQ(CompareEpochs(two, fork), EpochRelation::kForked);
}

}  // namespace
}  // namespace mirdax
