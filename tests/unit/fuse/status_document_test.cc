// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/status_document.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

namespace mirdax {
namespace {

using nlohmann::json;

MountReport Sample() {
  MountReport report;
  report.pool = "/dev/dax0.0";
  report.directory = "/mnt";
  std::memcpy(report.superblock.label.data(), "data", 4);
  report.superblock.set_uuid[0] = 0xab;
  report.private_block.role = Role::kPrimary;
  report.private_block.state = CopyState::kConsistent;
  report.private_block.history_count = 1;
  report.private_block.history[0].epoch = EpochId{.number = 3, .id = 0xbeef};
  report.volume.commit = 4096;
  report.volume.tail = 1024;
  report.granularity = Granularity::kCacheLine;
  report.mirrors.push_back(MirrorReport{.address = "m:7000",
                                        .copy_uuid = "u",
                                        .state = "in-sync",
                                        .acked = 4032,
                                        .applied = 512,
                                        .method = "target-flush",
                                        .reason = "",
                                        .since = Timestamp{.seconds = 86399, .nanoseconds = 0}});
  return report;
}

TEST(StatusDocument, SaysWhatScriptsRelyOn) {
  const json document = json::parse(RenderStatus(Sample()));
  EXPECT_EQ(document["kind"], "mount");
  EXPECT_EQ(document["pool"], "/dev/dax0.0");
  EXPECT_EQ(document["label"], "data");
  EXPECT_EQ(document["set_uuid"], "ab000000-0000-0000-0000-000000000000");
  EXPECT_EQ(document["role"], "primary");
  EXPECT_EQ(document["state"], "consistent");
  EXPECT_EQ(document["epoch"]["number"], 3);
  EXPECT_EQ(document["epoch"]["id"], "000000000000beef");
  EXPECT_EQ(document["commit_lsn"], 4096);
  EXPECT_EQ(document["tail_lsn"], 1024);
  EXPECT_EQ(document["granularity"], "cache-line");
  EXPECT_EQ(document["pm"], "direct");
  EXPECT_EQ(document["clean"], false);
  EXPECT_EQ(document["read_only"], false);
  EXPECT_EQ(document["shut_down"], false);
  const json& mirror = document["mirrors"][0];
  EXPECT_EQ(mirror["address"], "m:7000");
  EXPECT_EQ(mirror["state"], "in-sync");
  EXPECT_EQ(mirror["acked_lsn"], 4032);
  EXPECT_EQ(mirror["applied_lsn"], 512);
  EXPECT_EQ(mirror["lag_bytes"], 64);
  EXPECT_EQ(mirror["method"], "target-flush");
  EXPECT_EQ(mirror["since"], "1970-01-01T23:59:59Z");
}

TEST(StatusDocument, SaysWhatTheMediumHasRefused) {
  MountReport report = Sample();
  EXPECT_TRUE(json::parse(RenderStatus(report))["bad_ranges"].empty());
  report.volume.bad.assign(1000, BadRange{{81920, 4096}, false});
  report.volume.bad[1] = BadRange{{4096, 8192}, true};
  const json bad = json::parse(RenderStatus(report))["bad_ranges"];
  ASSERT_EQ(bad.size(), 32U);
  EXPECT_EQ(bad[0]["offset"], 4096);
  EXPECT_EQ(bad[0]["length"], 8192);
  EXPECT_EQ(bad[0]["holds"], "metadata");
  EXPECT_EQ(bad[1]["offset"], 81920);
  EXPECT_EQ(bad[1]["holds"], "file data");
}

TEST(StatusDocument, AMemberWithoutAConnectionIsNotHidden) {
  MountReport report = Sample();
  report.mirrors[0].copy_uuid = "01000000-0000-0000-0000-000000000000";
  const auto member = [&](size_t slot, uint8_t copy, const char* address, MemberState state) {
    Member& row = report.private_block.members[slot];
    row.copy_uuid[0] = copy;
    row.state = state;
    row.since_epoch = 2;
    std::strncpy(row.address.data(), address, row.address.size());
  };
  member(0, 0x01, "m:7000", MemberState::kInSync);
  member(1, 0x02, "gone:7000", MemberState::kOutOfSync);
  member(3, 0x03, "m:7000", MemberState::kOutOfSync);  // before it was formatted anew
  const json mirrors = json::parse(RenderStatus(report))["mirrors"];
  ASSERT_EQ(mirrors.size(), 2U);
  EXPECT_EQ(mirrors[0]["state"], "in-sync");
  EXPECT_EQ(mirrors[1]["address"], "gone:7000");
  EXPECT_EQ(mirrors[1]["copy_uuid"], "02000000-0000-0000-0000-000000000000");
  EXPECT_EQ(mirrors[1]["state"], "out-of-sync");
  EXPECT_EQ(mirrors[1]["since_epoch"], 2);
}

TEST(StatusDocument, AMirrorAheadOfTheCommitWordHasNoNegativeLag) {
  MountReport report = Sample();
  report.mirrors[0].acked = 9999999;
  EXPECT_EQ(json::parse(RenderStatus(report))["mirrors"][0]["lag_bytes"], 0);
}

TEST(StatusDocument, ALabelOfAnyBytesStillMakesJson) {
  MountReport report = Sample();
  report.superblock.label.fill('\xff');
  report.pool = "/\xc3\x28\n\"quote";
  EXPECT_TRUE(json::accept(RenderStatus(report)));
}

TEST(StatusDocument, IsBoundedWhateverThePeersSay) {
  MountReport report = Sample();
  report.mirrors[0].reason = std::string(1 << 20, '\x01');
  report.mirrors[0].address = std::string(1 << 20, '\xff');
  report.pool = std::string(1 << 20, 'p');
  report.mirrors.resize(100, report.mirrors[0]);
  EXPECT_LT(RenderStatus(report).size(), kMaxStatusBytes * 2);
  EXPECT_EQ(json::parse(RenderStatus(report))["mirrors"].size(), kMaxMirrors);
}

TEST(StatusDocument, IsOneLine) {
  const std::string text = RenderStatus(Sample());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

}  // namespace
}  // namespace mirdax
