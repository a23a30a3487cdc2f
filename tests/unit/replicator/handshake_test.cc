// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/handshake.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace mirdax {
namespace {

std::shared_ptr<const Key> MakeKey(char fill) {
  return std::make_shared<Key>(std::vector<std::byte>(kMinKeyBytes, static_cast<std::byte>(fill)));
}

// Hands the client's frames to a server's state machine; may bend them on the way.
class DirectChannel final : public FrameChannel {
 public:
  explicit DirectChannel(ServerHandshake& server) : server_(server) {}
  Status Send(const Frame& frame, Deadline) override {
    Frame sent = frame;
    if (bend) bend(sent);
    auto answer = server_.Handle(sent);
    if (!answer) refused = answer.error();
    answers_.push_back(answer ? *answer : RefusalFrame(answer.error()));
    return {};
  }
  Result<Frame> Receive(size_t, Deadline) override {
    Frame frame = answers_.front();
    answers_.pop_front();
    if (bend_answer) bend_answer(frame);
    return frame;
  }
  void Cut() noexcept override {}

  std::function<void(Frame&)> bend;
  std::function<void(Frame&)> bend_answer;
  std::optional<Error> refused;

 private:
  ServerHandshake& server_;
  std::deque<Frame> answers_;
};

class Handshake : public ::testing::Test {
 protected:
  Status Shake(const std::shared_ptr<const Key>& client, const std::shared_ptr<const Key>& server) {
    server_ = std::make_unique<ServerHandshake>(server, random_);
    channel_ = std::make_unique<DirectChannel>(*server_);
    channel_->bend = bend_;
    channel_->bend_answer = bend_answer_;
    return ClientHandshake(*channel_, client.get(), Purpose::kReplicate, random_, 0);
  }

  SeededRandom random_{1};
  std::function<void(Frame&)> bend_;
  std::function<void(Frame&)> bend_answer_;
  std::unique_ptr<ServerHandshake> server_;
  std::unique_ptr<DirectChannel> channel_;
};

TEST_F(Handshake, EqualKeysAuthenticateBothEnds) {
  EXPECT_TRUE(Shake(MakeKey('a'), MakeKey('a')).has_value());
  EXPECT_TRUE(server_->done());
  EXPECT_EQ(server_->purpose(), Purpose::kReplicate);
}

TEST_F(Handshake, DifferentKeysAreRefusedWithTheReasonOnBothEnds) {
  const Status status = Shake(MakeKey('a'), MakeKey('b'));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kAuthFailed);
  EXPECT_NE(status.error().message.find("different keys"), std::string::npos);
  ASSERT_TRUE(channel_->refused.has_value());
  EXPECT_EQ(channel_->refused->code, ErrorCode::kAuthFailed);
  EXPECT_FALSE(server_->done());
}

TEST_F(Handshake, AServerThatDoesNotHoldTheKeyIsFoundOut) {
  // The impostor lets everybody in and answers with a proof of its own making.
  bend_answer_ = [](Frame& frame) {
    if (frame.type == FrameType::kWelcome) frame.payload[0] ^= std::byte{1};
  };
  const Status status = Shake(MakeKey('a'), MakeKey('a'));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kAuthFailed);
}

TEST_F(Handshake, AClientsProofIsWorthlessInAnotherConnection) {
  Frame recorded;
  bend_ = [&](Frame& frame) {
    if (frame.type == FrameType::kProof) recorded = frame;
  };
  ASSERT_TRUE(Shake(MakeKey('a'), MakeKey('a')).has_value());
  bend_ = [&](Frame& frame) {
    if (frame.type == FrameType::kProof) frame = recorded;
  };
  EXPECT_FALSE(Shake(MakeKey('b'), MakeKey('a')).has_value());
  EXPECT_FALSE(server_->done());
}

TEST_F(Handshake, ChangingAnyByteOfTheHelloBreaksTheProof) {
  for (size_t i = 0; i < Encode(Hello{}).size(); ++i) {
    bend_ = [&](Frame& frame) {
      if (frame.type == FrameType::kHello) frame.payload[i] ^= std::byte{1};
    };
    EXPECT_FALSE(Shake(MakeKey('a'), MakeKey('a')).has_value()) << "byte " << i;
    EXPECT_FALSE(server_->done());
  }
}

TEST_F(Handshake, WithoutAuthenticationBothEndsMustSaySo) {
  EXPECT_TRUE(Shake(nullptr, nullptr).has_value());
  EXPECT_FALSE(Shake(nullptr, MakeKey('a')).has_value());
  EXPECT_FALSE(server_->done());
  EXPECT_FALSE(Shake(MakeKey('a'), nullptr).has_value());
  EXPECT_FALSE(server_->done());
}

TEST_F(Handshake, NoCommonVersionIsRefusedWithBothNamed) {
  bend_ = [](Frame& frame) {
    if (frame.type != FrameType::kHello) return;
    Hello hello = *DecodeHello(frame.payload);
    hello.version_min = 70;
    hello.version_max = 71;
    frame.payload = Encode(hello);
  };
  const Status status = Shake(MakeKey('a'), MakeKey('a'));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kIncompatible);
  EXPECT_NE(status.error().message.find("70 to 71"), std::string::npos);
  EXPECT_NE(status.error().message.find("1 to 1"), std::string::npos);
}

TEST_F(Handshake, RequestsBeforeTheProofAreRefused) {
  ServerHandshake server(MakeKey('a'), random_);
  EXPECT_FALSE(server.Handle({FrameType::kAttach, {}}).has_value());
  EXPECT_FALSE(server.Handle({FrameType::kHello, Encode(Hello{})}).has_value());  // one try
}

TEST(KeyFile, ShortReadableOrStrangeKeyFilesAreRefused) {
  const test::TempDir directory;
  const std::string path = directory.path() + "/key";
  const auto make = [&](size_t size, mode_t mode) {
    std::ofstream(path, std::ios::trunc) << std::string(size, 'x');
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  };
  make(kMinKeyBytes, 0600);
  EXPECT_TRUE(Key::Load(path).has_value());
  make(kMinKeyBytes - 1, 0600);
  EXPECT_FALSE(Key::Load(path).has_value());
  make(kMaxKeyBytes + 1, 0600);
  EXPECT_FALSE(Key::Load(path).has_value());
  make(kMinKeyBytes, 0640);
  const auto open_to_group = Key::Load(path);
  ASSERT_FALSE(open_to_group.has_value());
  EXPECT_NE(open_to_group.error().message.find("chmod 600"), std::string::npos);
  EXPECT_FALSE(Key::Load(directory.path()).has_value());
  EXPECT_FALSE(Key::Load(path + ".absent").has_value());
  ASSERT_EQ(mkfifo((path + ".fifo").c_str(), 0600), 0);
  EXPECT_FALSE(Key::Load(path + ".fifo").has_value());
}

}  // namespace
}  // namespace mirdax
