// SPDX-License-Identifier: BSD-2-Clause
// Reads /proc/self/mountinfo: how the daemon learns its own mount's device number without touching
// the mount (R10).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mirdax {

struct DeviceNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
  friend bool operator==(const DeviceNumber&, const DeviceNumber&) = default;
};

// The topmost mount on `directory` (absolute, without links) in the text of a mountinfo file; the
// last line wins. Lines that make no sense are passed over. Nothing when there is no mount there.
std::optional<DeviceNumber> FindMount(std::string_view mountinfo, std::string_view directory);

// The text of /proc/self/mountinfo; empty when it cannot be read.
std::string ReadMountTable();

}  // namespace mirdax
