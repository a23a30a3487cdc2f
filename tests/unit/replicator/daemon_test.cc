// SPDX-License-Identifier: BSD-2-Clause
// The mirror daemon in this process, over real sockets and libfabric's tcp provider on loopback.
#include <gtest/gtest.h>

#include <thread>

#include "replicator/bytes.h"
#include "replicator/control_client.h"
#include "replicator/fabric/fabric_link.h"
#include "replicator/fabric/fabric_target.h"
#include "replicator/mirror_server.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/replicator/test_set.h"

namespace mirdax {
namespace {

using test::TestCopy;
using test::TestPrimary;

std::shared_ptr<const Key> MakeKey(char fill) {
  return std::make_shared<Key>(std::vector<std::byte>(kMinKeyBytes, static_cast<std::byte>(fill)));
}

struct Daemon {
  explicit Daemon(uint64_t seed, std::shared_ptr<const Key> key = nullptr,
                  std::chrono::milliseconds silence = std::chrono::seconds(60))
      : copy(true, seed), targets("tcp", "127.0.0.1", clock) {
    options.listen = {"127.0.0.1", 0};
    options.key = std::move(key);
    options.auth_timeout = std::chrono::milliseconds(300);
    options.silence = silence;
    Start();
    options.listen = server->address();
  }
  void Start() {
    mirror = *MirrorCopy::Open(*copy.pool, *copy.store, targets, clock, random);
    server = *MirrorServer::Start(*mirror, options, clock, random);
  }
  void Stop() {
    server.reset();
    mirror.reset();
  }
  std::string address() const { return server->address().ToString(); }

  SystemClock clock;
  SystemRandom random;
  TestCopy copy;
  fabric::FabricTargetFactory targets;
  MirrorServerOptions options;
  std::unique_ptr<MirrorCopy> mirror;
  std::unique_ptr<MirrorServer> server;
};

class OverTcp : public ::testing::Test {
 protected:
  Result<std::unique_ptr<PrimaryReplication>> Connect(const std::vector<std::string>& mirrors) {
    ReplicationOptions options;
    options.mirrors = mirrors;
    options.no_auth = true;
    options.fabric = fabric_;
    options.mirror_timeout = timeout_;
    options.progress = progress_;
    return PrimaryReplication::Connect(*primary_.copy.pool, *primary_.copy.store, options, clock_,
                                       random_);
  }
  Result<std::unique_ptr<SocketChannel>> Dial(const Daemon& daemon) {
    return SocketChannel::Connect(daemon.server->address(), clock_, InTwoSeconds());
  }
  Deadline InTwoSeconds() { return After(clock_, std::chrono::seconds(2)); }

  std::string fabric_ = "tcp";
  std::chrono::milliseconds timeout_{2000};
  std::function<void(const std::string&)> progress_;
  SystemClock clock_;
  SystemRandom random_;
  TestPrimary primary_;
};

TEST_F(OverTcp, TwoMirrorsAreFilledAndFollowEveryCommit) {
  Daemon one(1);
  Daemon two(2);
  auto sink = Connect({one.address(), two.address()});
  ASSERT_TRUE(sink.has_value()) << sink.error().message;
  for (uint64_t i = 0; i < 200; ++i) {
    // Small ones travel in the message, large ones as one-sided writes.
    const uint64_t bytes = i % 4 == 3 ? 40 * kBlockSize : kBlockSize;
    const Status status = primary_.Commit(**sink, (i % 20) * 50, static_cast<std::byte>(i), bytes);
    ASSERT_TRUE(status.has_value()) << status.error().message;
    const uint64_t offset = primary_.copy.geometry().data.offset + (i % 20) * 50 * kBlockSize;
    for (Daemon* daemon : {&one, &two}) {
      ASSERT_EQ(daemon->copy.commit(), primary_.copy.commit());
      if (i % 50 == 3) {
        ASSERT_EQ(daemon->copy.Durable(offset, bytes),
                  std::vector<std::byte>(bytes, static_cast<std::byte>(i)));
      }
    }
  }
  for (const MirrorStatus& row : (*sink)->mirrors()) EXPECT_EQ(row.state, "in-sync") << row.reason;
  (*sink)->RequestApply(primary_.copy.commit());
  const Deadline deadline = InTwoSeconds();
  while ((*sink)->applied() < primary_.copy.commit() && clock_.MonotonicNanoseconds() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ((*sink)->applied(), primary_.copy.commit());
}

TEST_F(OverTcp, ALargeBatchOfManyRangesIsCarriedInSeveralMessages) {
  Daemon one(1);
  auto sink = Connect({one.address()});
  ASSERT_TRUE(sink.has_value()) << sink.error().message;
  std::vector<PoolRange> ranges;
  const Geometry& geometry = primary_.copy.geometry();
  for (uint64_t i = 0; i < 3000; ++i) {
    const uint64_t offset = geometry.data.offset + i * kBlockSize;
    primary_.copy.region().Stream(offset, std::vector<std::byte>(64, static_cast<std::byte>(i)));
    ranges.push_back({offset, 64});
  }
  (*sink)->Post({ranges, primary_.copy.commit(), primary_.copy.commit()});
  ASSERT_TRUE((*sink)->Wait().has_value());
  EXPECT_EQ((*sink)->mirrors()[0].state, "in-sync") << (*sink)->mirrors()[0].reason;
  const std::vector<std::byte> durable =
      one.copy.Durable(geometry.data.offset, ranges.size() * kBlockSize);
  for (uint64_t i = 0; i < ranges.size(); ++i) {
    const auto from = durable.begin() + static_cast<ptrdiff_t>(i * kBlockSize);
    ASSERT_EQ(std::count(from, from + 64, static_cast<std::byte>(i)), 64) << i;
  }
}

TEST_F(OverTcp, ADaemonThatCannotListenSaysWhereAndWhatToDo) {
  Daemon first(1);
  MirrorServerOptions options;
  options.listen = first.server->address();
  const auto second = MirrorServer::Start(*first.mirror, options, clock_, random_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().message, first.address() +
                                        ": Address already in use; choose another address with "
                                        "--listen");
}

TEST_F(OverTcp, AMirrorThatEndsIsEjectedAndTheOtherGoesOn) {
  Daemon one(1);
  auto two = std::make_unique<Daemon>(2);
  auto sink = Connect({one.address(), two->address()});
  ASSERT_TRUE(sink.has_value()) << sink.error().message;
  ASSERT_TRUE(primary_.Commit(**sink, 10, std::byte{1}).has_value());
  EXPECT_TRUE(two->server->Stop().has_value());
  EXPECT_EQ(two->copy.store->Get().tail, primary_.copy.commit());
  two.reset();
  ASSERT_TRUE(primary_.Commit(**sink, 12, std::byte{2}).has_value());
  EXPECT_EQ((*sink)->mirrors()[0].state, "in-sync") << (*sink)->mirrors()[0].reason;
  EXPECT_EQ((*sink)->mirrors()[1].state, "ejected");
  EXPECT_EQ(one.copy.commit(), primary_.copy.commit());
}

TEST_F(OverTcp, AMirrorThatReturnsIsFilledAndInSyncAgainWhileCommitsGoOn) {
  Daemon one(1);
  Daemon two(2);
  auto sink = Connect({one.address(), two.address()});
  ASSERT_TRUE(sink.has_value()) << sink.error().message;
  ASSERT_TRUE(primary_.Commit(**sink, 10, std::byte{1}).has_value());
  two.Stop();
  ASSERT_TRUE(primary_.Commit(**sink, 12, std::byte{2}).has_value());
  ASSERT_EQ((*sink)->mirrors()[1].state, "ejected");
  two.Start();
  const Deadline deadline = After(clock_, std::chrono::seconds(30));
  uint64_t commits = 0;
  while ((*sink)->mirrors()[1].state != "in-sync") {
    ASSERT_LT(clock_.MonotonicNanoseconds(), deadline) << (*sink)->mirrors()[1].reason;
    const uint64_t index = 20 + commits % 100 * 2;
    ASSERT_TRUE(primary_.Commit(**sink, index, static_cast<std::byte>(++commits)).has_value());
    if (commits % 50 == 0) (*sink)->RequestApply(primary_.copy.commit());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(primary_.Commit(**sink, 400, std::byte{7}).has_value());
  EXPECT_EQ(two.copy.commit(), primary_.copy.commit());
  EXPECT_EQ(one.copy.commit(), primary_.copy.commit());
  EXPECT_EQ(two.copy.store->Get().state, CopyState::kConsistent);
}

TEST_F(OverTcp, AMountThatCannotOpenADataConnectionLeavesTheMirrorAsItWas) {  // R7
  Daemon one(1);
  {
    auto sink = Connect({one.address()});
    ASSERT_TRUE(sink.has_value()) << sink.error().message;
    ASSERT_TRUE(primary_.Commit(**sink, 10, std::byte{1}).has_value());
  }
  fabric_ = "no-such-provider";
  EXPECT_FALSE(Connect({one.address()}).has_value());
  EXPECT_EQ(one.copy.store->Get().state, CopyState::kConsistent);
  EXPECT_EQ(primary_.copy.store->Get().members[0].state, MemberState::kInSync);
}

TEST_F(OverTcp, AMirrorThatWaitsForTheFillOfAnotherIsNotForgottenMeanwhile) {
  constexpr auto kSilence = std::chrono::milliseconds(1000);
  Daemon one(1, nullptr, kSilence);
  Daemon two(2, nullptr, kSilence);
  timeout_ = std::chrono::milliseconds(400);  // a heartbeat each 200 ms
  int fills = 0;
  progress_ = [&](const std::string&) {
    if (++fills == 1) std::this_thread::sleep_for(3 * kSilence);
  };
  auto sink = Connect({one.address(), two.address()});
  ASSERT_TRUE(sink.has_value()) << sink.error().message;
  for (const MirrorStatus& row : (*sink)->mirrors()) EXPECT_EQ(row.state, "in-sync") << row.reason;
  EXPECT_TRUE(primary_.Commit(**sink, 10, std::byte{1}).has_value());
  EXPECT_EQ(two.copy.commit(), primary_.copy.commit());
}

TEST_F(OverTcp, StatusComesWithTheRightKeyOnly) {
  const test::TempDir directory;
  Daemon daemon(1, MakeKey('k'));
  const auto write_key = [&](const std::string& name, char fill) {
    const std::string path = directory.File(name);
    FILE* file = fopen(path.c_str(), "w");
    for (size_t i = 0; i < kMinKeyBytes; ++i) fputc(fill, file);
    fchmod(fileno(file), 0600);
    fclose(file);
    return path;
  };
  ControlOptions options;
  options.address = daemon.address();
  options.key_file = write_key("right", 'k');
  const auto document = FetchMirrorStatus(options);
  ASSERT_TRUE(document.has_value()) << document.error().message;
  EXPECT_NE(document->find("\"kind\":\"mirror\""), std::string::npos);
  EXPECT_NE(document->find("\"state\":\"blank\""), std::string::npos);
  options.key_file = write_key("wrong", 'w');
  const auto refused = FetchMirrorStatus(options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kAuthFailed);
  options.no_auth = true;
  EXPECT_FALSE(FetchMirrorStatus(options).has_value());
}

TEST_F(OverTcp, GarbageHalfMessagesAndSilenceDropTheConnectionAndNothingElse) {
  Daemon daemon(1);
  std::vector<std::unique_ptr<SocketChannel>> silent;
  for (int i = 0; i < 16; ++i) silent.push_back(std::move(*Dial(daemon)));
  std::mt19937 engine(1);
  const auto raw = [&](const std::vector<std::byte>& bytes) {
    const auto address = *Resolve(daemon.server->address());
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length), 0);
    (void)!send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    close(fd);
  };
  for (int round = 0; round < 50; ++round) {
    std::vector<std::byte> bytes(engine() % 300);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(engine());
    raw(bytes);
    bytes = EncodeFrame({FrameType::kHello, Encode(Hello{})});
    bytes.resize(engine() % bytes.size());
    raw(bytes);
  }
  silent.clear();
  std::this_thread::sleep_for(
      std::chrono::milliseconds(500));  // more than the time to authenticate
  auto sink = Connect({daemon.address()});
  EXPECT_TRUE(sink.has_value()) << sink.error().message;
}

// A primary that breaks the rules after it has attached: what a mirror must survive.
class Rogue : public OverTcp {
 protected:
  void SetUp() override {
    daemon_ = std::make_unique<Daemon>(1);
    {
      auto sink = Connect({daemon_->address()});  // makes it consistent
      ASSERT_TRUE(sink.has_value());
    }
    channel_ = std::move(*Dial(*daemon_));
    ASSERT_TRUE(ClientHandshake(*channel_, nullptr, Purpose::kReplicate, random_, InTwoSeconds())
                    .has_value());
    AttachRequest request;
    request.set_uuid = Uuid{primary_.copy.pool->superblock().set_uuid};
    request.copy_uuid = Uuid{primary_.copy.store->Get().copy_uuid};
    const PrivateBlock block = daemon_->copy.store->Get();
    request.epochs.history.assign(block.history.begin(),
                                  block.history.begin() + block.history_count);
    epoch_ = CurrentEpoch(block);
    ASSERT_TRUE(Ask(FrameType::kAttach, Encode(request)).has_value());
    OpenData();
    before_ = daemon_->copy.Durable(0, test::kTestPoolSize);
  }
  void OpenData() {
    ByteWriter provider;
    provider.PutString("tcp");
    const auto open = Ask(FrameType::kDataOpen, provider.Take());
    ASSERT_TRUE(open.has_value());
    endpoint_ = *DecodeDataEndpoint(*open);
    auto link = fabric::FabricLink::Connect(endpoint_, primary_.copy.region().memory(), clock_,
                                            InTwoSeconds());
    ASSERT_TRUE(link.has_value()) << link.error().message;
    link_ = std::move(*link);
    windows_ = *DecodeWindows(*Ask(FrameType::kDataKeys, {}));
    link_->SetWindows(windows_);
  }
  Result<std::vector<std::byte>> Ask(FrameType type, std::span<const std::byte> payload) {
    return Call(*channel_, type, payload, InTwoSeconds());
  }
  // True when the mirror cut the connection instead of answering.
  bool IsDropped() {
    std::vector<std::byte> answer;
    const Deadline deadline = InTwoSeconds();
    while (clock_.MonotonicNanoseconds() < deadline) {
      const auto came = link_->Poll(answer);
      if (!came) return true;
      if (*came) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  void ExpectDroppedAndUntouched(std::span<const std::byte> message) {
    ASSERT_TRUE(link_->Send(message, InTwoSeconds()).has_value());
    EXPECT_TRUE(IsDropped());
    EXPECT_EQ(daemon_->copy.Durable(0, test::kTestPoolSize), before_);
    ControlOptions options;
    options.address = daemon_->address();
    options.no_auth = true;
    EXPECT_TRUE(FetchMirrorStatus(options).has_value());  // it lives
  }
  void PushTo(uint64_t offset, DataType type = DataType::kSync) {
    message_.Begin(type);
    message_.AddInline(offset, std::vector<std::byte>(64, std::byte{0x66}));
    ExpectDroppedAndUntouched(message_.Finish(1, epoch_, 0, 0, true));
  }

  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<SocketChannel> channel_;
  DataEndpoint endpoint_;
  std::unique_ptr<fabric::FabricLink> link_;
  std::vector<RemoteWindow> windows_;
  EpochId epoch_{};
  DataMessage message_;
  std::vector<std::byte> before_;
};

TEST_F(Rogue, APushToTheSuperblockIsRefused) { PushTo(0); }
TEST_F(Rogue, APushToThePrivateBlockIsRefused) { PushTo(kPrivateBlockOffset); }
TEST_F(Rogue, APushToTheCommitLineIsRefused) { PushTo(kCommitLineOffset); }
TEST_F(Rogue, APushToTheInodeTableIsRefused) {
  PushTo(primary_.copy.geometry().inode_table.offset);
}
TEST_F(Rogue, AFillPushWithoutAFillIsRefused) {
  PushTo(primary_.copy.geometry().inode_table.offset, DataType::kFillHome);
}
TEST_F(Rogue, APushBeyondThePoolIsRefused) { PushTo(~uint64_t{0} - 63); }
TEST_F(Rogue, APushOneByteBeyondTheDataAreaIsRefused) {
  PushTo(primary_.copy.geometry().data.end() - 63);
}
TEST_F(Rogue, JournalBytesOutsideOfTheBatchAreRefused) {
  PushTo(primary_.copy.geometry().journal.offset);
}
TEST_F(Rogue, ACommitWordThatRunsAwayIsRefused) {
  message_.Begin(DataType::kSync);
  ExpectDroppedAndUntouched(
      message_.Finish(1, epoch_, 0, primary_.copy.geometry().journal.length + 64, true));
}
TEST_F(Rogue, ARepeatedMessageIsRefused) {
  message_.Begin(DataType::kSync);
  ExpectDroppedAndUntouched(message_.Finish(2, epoch_, 0, 0, true));
}
TEST_F(Rogue, GarbageOnTheDataConnectionIsRefused) {
  ExpectDroppedAndUntouched(std::vector<std::byte>(500, std::byte{0x5a}));
}

TEST_F(Rogue, APushUnderAnOlderEpochIsAnsweredStale) {
  message_.Begin(DataType::kSync);
  ASSERT_TRUE(link_->Send(message_.Finish(1, {epoch_.number - 1, 1}, 0, 0, true), InTwoSeconds())
                  .has_value());
  std::vector<std::byte> answer;
  const Deadline deadline = InTwoSeconds();
  Result<bool> came = false;
  while (came && !*came && clock_.MonotonicNanoseconds() < deadline) came = link_->Poll(answer);
  ASSERT_TRUE(came && *came);
  EXPECT_EQ(DecodeDataReply(answer)->status, static_cast<uint64_t>(DataStatus::kStale));
}

TEST_F(Rogue, AOneSidedWriteOneByteOutOfItsWindowChangesNothing) {
  std::vector<RemoteWindow> wider = windows_;
  for (RemoteWindow& window : wider) window.range.length += kBlockSize;
  link_->SetWindows(wider);
  const uint64_t offset = windows_[0].range.end() - 63;
  const std::vector<std::byte> bytes(64, std::byte{0x66});
  (void)link_->Write(offset, bytes, InTwoSeconds());
  message_.Begin(DataType::kSync);
  (void)link_->Send(message_.Finish(1, epoch_, 0, 0, true), InTwoSeconds());
  (void)IsDropped();
  EXPECT_EQ(daemon_->copy.Durable(0, test::kTestPoolSize), before_);
  EXPECT_NE(*daemon_->copy.region().At(windows_[0].range.end(), 1), std::byte{0x66});
}

TEST_F(Rogue, AKeyOfAnOlderConnectionIsDead) {
  const std::vector<RemoteWindow> old = windows_;
  OpenData();  // replaces the data connection
  link_->SetWindows(old);
  const std::vector<std::byte> bytes(64, std::byte{0x66});
  (void)link_->Write(old[1].range.offset, bytes, InTwoSeconds());
  message_.Begin(DataType::kSync);
  (void)link_->Send(message_.Finish(1, epoch_, 0, 0, true), InTwoSeconds());
  (void)IsDropped();
  EXPECT_NE(*daemon_->copy.region().At(old[1].range.offset, 1), std::byte{0x66});
}

TEST_F(Rogue, ADataConnectionWithAnotherCookieIsRefused) {
  ByteWriter provider;
  provider.PutString("tcp");
  DataEndpoint endpoint = *DecodeDataEndpoint(*Ask(FrameType::kDataOpen, provider.Take()));
  endpoint.cookie[3] ^= 1;
  EXPECT_FALSE(
      fabric::FabricLink::Connect(endpoint, primary_.copy.region().memory(), clock_, InTwoSeconds())
          .has_value());
}

TEST_F(Rogue, StrangersOnTheDataPortDoNotKeepThePrimaryOut) {
  ByteWriter provider;
  provider.PutString("tcp");
  const DataEndpoint endpoint = *DecodeDataEndpoint(*Ask(FrameType::kDataOpen, provider.Take()));
  std::mt19937 engine(3);
  std::vector<int> silent;
  for (int i = 0; i < 20; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(endpoint.address.data()),
                      static_cast<socklen_t>(endpoint.address.size())),
              0);
    std::vector<std::byte> bytes(engine() % 300);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(engine());
    (void)!send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (i % 2 == 0)
      close(fd);
    else
      silent.push_back(fd);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  link_.reset();
  auto link = fabric::FabricLink::Connect(endpoint, primary_.copy.region().memory(), clock_,
                                          InTwoSeconds());
  EXPECT_TRUE(link.has_value()) << link.error().message;
  EXPECT_TRUE(Ask(FrameType::kDataKeys, {}).has_value());
  for (const int fd : silent) close(fd);
}

TEST_F(Rogue, ANewDataConnectionReplacesOneThatNeverCameWithoutAWait) {
  ByteWriter provider;
  provider.PutString("tcp");
  const std::vector<std::byte> name = provider.Take();
  const uint64_t start = clock_.MonotonicNanoseconds();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Ask(FrameType::kDataOpen, name).has_value());
  EXPECT_LT(clock_.MonotonicNanoseconds() - start, 2'000'000'000U);
}

TEST_F(Rogue, RandomRequestsAreRefusedAndSurvived) {
  std::mt19937 engine(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::byte> payload(engine() % 200);
    for (std::byte& byte : payload) byte = static_cast<std::byte>(engine());
    const auto type = static_cast<FrameType>(16 + engine() % 12);
    if (type == FrameType::kStatus || type == FrameType::kDetach || type == FrameType::kDataKeys)
      continue;
    if (Ask(type, payload)) continue;
    channel_ = std::move(*Dial(*daemon_));
    ASSERT_TRUE(ClientHandshake(*channel_, nullptr, Purpose::kReplicate, random_, InTwoSeconds())
                    .has_value());
  }
  EXPECT_EQ(daemon_->copy.Durable(0, test::kTestPoolSize), before_);
}

}  // namespace
}  // namespace mirdax
