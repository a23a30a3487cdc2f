// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/mount_table.h"

#include <gtest/gtest.h>

namespace mirdax {
namespace {

constexpr const char* kTable =
    "22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "90 22 0:45 / /mnt/a rw,nosuid,nodev shared:5 - fuse.mirdax /pool rw,user_id=0\n"
    "91 22 0:46 / /mnt/with\\040space\\134 rw - fuse.mirdax /pool rw\n"
    "92 90 0:47 / /mnt/a rw - tmpfs tmpfs rw\n";

TEST(MountTable, FindsTheDeviceOfAMountByItsDirectory) {
  EXPECT_EQ(FindMount(kTable, "/"), (DeviceNumber{253, 1}));
  EXPECT_EQ(FindMount(kTable, "/mnt/with space\\"), (DeviceNumber{0, 46}));
}

TEST(MountTable, TheTopmostOfStackedMountsWins) {
  EXPECT_EQ(FindMount(kTable, "/mnt/a"), (DeviceNumber{0, 47}));
}

TEST(MountTable, ADirectoryWithoutAMountIsNotFound) {
  EXPECT_EQ(FindMount(kTable, "/mnt"), std::nullopt);
  EXPECT_EQ(FindMount(kTable, ""), std::nullopt);
  EXPECT_EQ(FindMount("", "/"), std::nullopt);
}

TEST(MountTable, LinesThatMakeNoSenseArePassedOver) {
  EXPECT_EQ(FindMount("garbage\n1 2 x:y / /m\n1 2 3 / /m\n1 2 3: / /m\n1 2 3:4x / /m\n\n", "/m"),
            std::nullopt);
  EXPECT_EQ(FindMount("1 2 99999999999:1 / /m\n1 2 0:9 / /m", "/m"), (DeviceNumber{0, 9}));
  EXPECT_EQ(FindMount("1 2 0:9 / /m\\", "/m\\"), (DeviceNumber{0, 9}));
}

TEST(MountTable, ReadsThisProcessesTable) {
  EXPECT_NE(FindMount(ReadMountTable(), "/proc"), std::nullopt);
}

}  // namespace
}  // namespace mirdax
