// SPDX-License-Identifier: BSD-2-Clause
#include "tools/ctl/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fs/fuse/status_socket.h"
#include "fs/pmem/pool.h"
#include "mkfs/format_region.h"
#include "tests/support/temp_dir.h"
#include "tools/ctl/target.h"

namespace mirdax::ctl {
namespace {

using testing::HasSubstr;

std::string MountLine(const std::string& directory) {
  return "30 29 0:57 / " + directory + " rw,relatime - fuse.mirdax /pool rw\n";
}

TEST(StatusTarget, AMountPointIsFoundByNameAlone) {
  // Nothing of that name exists: it was not touched.
  const auto target = ParseTarget("/no/such/dir/", MountLine("/no/such/dir"));
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_EQ(target->kind, Target::Kind::kMount);
  EXPECT_EQ(target->device, (DeviceNumber{0, 57}));
}

TEST(StatusTarget, AMountPointIsFoundThroughSymbolicLinks) {
  const test::TempDir dir;
  const std::string real = std::filesystem::canonical(dir.path()).native();
  std::filesystem::create_directory(real + "/mnt");
  std::filesystem::create_directory_symlink(real, real + "/above");
  std::filesystem::create_directory_symlink("mnt", real + "/link");
  for (const char* name : {"/above/mnt", "/link", "/above/link", "/./mnt/../mnt/"}) {
    const auto target = ParseTarget(real + name, MountLine(real + "/mnt"));
    ASSERT_TRUE(target) << name << ": " << target.error().message;
    EXPECT_EQ(target->kind, Target::Kind::kMount) << name;
  }
}

TEST(StatusTarget, AnAddressAFileAndNothingAreToldApart) {
  const test::TempDir dir;
  std::ofstream(dir.File("pool")) << "x";
  EXPECT_EQ(ParseTarget("mirror1:7070", "")->kind, Target::Kind::kMirror);
  EXPECT_EQ(ParseTarget("[::1]:7070", "")->kind, Target::Kind::kMirror);
  EXPECT_EQ(ParseTarget(dir.File("pool"), "")->kind, Target::Kind::kPool);
  EXPECT_EQ(ParseTarget(dir.path(), "").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(ParseTarget(dir.File("none"), "").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ParseTarget("mirror1", "").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ParseTarget("mirror1:port", "").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(ParseTarget("", ""));
}

TEST(StatusSocketClient, ReadsWhatTheDaemonSays) {
  const test::TempDir dir;
  const auto socket =
      StatusSocket::Open(dir.File("1-2.sock"), [] { return std::string("{\"kind\":\"mount\"}"); });
  ASSERT_TRUE(socket) << socket.error().message;
  const auto document = ReadStatusSocket(dir.File("1-2.sock"), std::chrono::seconds(5));
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(*document, "{\"kind\":\"mount\"}");
}

TEST(StatusSocketClient, ADaemonThatHangsIsGivenUpInTime) {  // R10
  const test::TempDir dir;
  const std::string path = dir.File("1-2.sock");
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 0), 0);
  const auto start = std::chrono::steady_clock::now();
  // The first fills the backlog; the others find it full.
  for (int i = 0; i < 3; ++i) {
    const auto document = ReadStatusSocket(path, std::chrono::milliseconds(200));
    ASSERT_FALSE(document);
    EXPECT_EQ(document.error().code, ErrorCode::kTimedOut) << document.error().message;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  close(listener);
}

TEST(StatusSocketClient, ADaemonThatDiedAndAMountOfAnotherKindAreToldApart) {
  const test::TempDir dir;
  const std::string path = dir.File("1-2.sock");
  EXPECT_THAT(ReadStatusSocket(path, std::chrono::seconds(1)).error().message,
              HasSubstr("no mirdax mount"));
  {
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    close(listener);
  }
  EXPECT_THAT(ReadStatusSocket(path, std::chrono::seconds(1)).error().message, HasSubstr("gone"));
}

TEST(PoolStatus, TellsRoleStateAndEpoch) {
  const test::TempDir dir;
  const std::string path = dir.File("pool");
  std::ofstream(path).close();
  ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(kMinPoolSize)), 0);
  {
    const auto raw = Pool::OpenRaw(path, {});
    ASSERT_TRUE(raw) << raw.error().message;
    SystemRandom random;
    SystemClock clock;
    ASSERT_TRUE(FormatRegion((*raw)->region(), {}, random, clock));
    const auto busy = PoolStatus(path);
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().code, ErrorCode::kBusy);
    EXPECT_THAT(busy.error().message, HasSubstr(std::to_string(getpid())));
    EXPECT_THAT(busy.error().message, HasSubstr("HOST:PORT"));
  }
  const auto document = PoolStatus(path);
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_THAT(*document, HasSubstr("\"role\":\"primary\""));
  EXPECT_THAT(*document, HasSubstr("\"state\":\"consistent\""));
  EXPECT_THAT(*document, HasSubstr("\"epoch\":{\"number\":1,"));
  const auto rendered = RenderStatus(*document);
  ASSERT_TRUE(rendered);
  EXPECT_TRUE(rendered->healthy);
}

TEST(RenderStatus, AMountWithAllMirrorsInSyncIsHealthy) {
  const auto status = RenderStatus(
      R"({"kind":"mount","state":"consistent","shut_down":false,"epoch":{"number":3,"id":"ab"},)"
      R"("mirrors":[{"address":"m1:1","state":"in-sync","lag_bytes":0}]})");
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->healthy);
  EXPECT_THAT(status->text, HasSubstr("m1:1"));
  EXPECT_THAT(status->text, HasSubstr("3 (id ab)"));
}

TEST(RenderStatus, AnEjectedMirrorAFillAndAShutdownAreDegraded) {
  for (const char* text :
       {R"({"kind":"mount","state":"consistent","mirrors":[{"state":"ejected"}]})",
        R"({"kind":"mirror","state":"filling"})", R"({"kind":"mirror","state":"blank"})",
        R"({"kind":"mount","state":"consistent","bad_ranges":[{"offset":8192,"length":4096}]})",
        R"({"kind":"mount","state":"consistent","shut_down":true})"}) {
    const auto status = RenderStatus(text);
    ASSERT_TRUE(status) << text;
    EXPECT_FALSE(status->healthy) << text;
    EXPECT_THAT(status->text, HasSubstr("DEGRADED"));
  }
}

TEST(RenderStatus, ADocumentThatIsNestedWithoutEndIsRefused) {
  constexpr size_t kDepth = 30'000;
  const std::string nested = std::string(kDepth, '[') + std::string(kDepth, ']');
  const auto status = RenderStatus("{\"kind\":\"mirror\",\"label\":" + nested + "}");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kIncompatible);
}

TEST(RenderStatus, AHostileDocumentIsRefusedOrShownHarmlessly) {
  for (const char* text : {"", "[]", "{}", "null", "{\"kind\":", "garbage", "{\"kind\":7}"}) {
    const auto status = RenderStatus(text);
    EXPECT_TRUE(status || status.error().code == ErrorCode::kIncompatible) << text;
  }
  const auto status = RenderStatus(
      "{\"kind\":\"mount\",\"label\":\"\\u001b[2J\",\"mirrors\":[7,null,[],{\"address\":{}}],"
      "\"epoch\":[1],\"peers\":{}}");
  ASSERT_TRUE(status);
  EXPECT_FALSE(status->healthy);
  EXPECT_EQ(status->text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace mirdax::ctl
