// SPDX-License-Identifier: BSD-2-Clause
// The bytes of a ledger's records: each is made from where it belongs and its version, so that a
// checker can tell any byte's origin without a copy of what was written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mirdax::ledger {

// How a file's records are made durable.
enum class Kind : uint8_t {
  kAppend = 1,   // O_APPEND write, then fsync
  kSync = 2,     // pwrite to an O_DSYNC file, slots overwritten in place
  kMap = 3,      // store through a shared mapping, then msync
  kReplace = 4,  // write a new file, fsync, rename over the old one, fsync of the directory
  kNames = 5,    // one file a record, fsync of file and directory; older ones unlinked, fsync
};
inline constexpr Kind kKinds[] = {Kind::kAppend, Kind::kSync, Kind::kMap, Kind::kReplace,
                                  Kind::kNames};
std::string_view KindName(Kind kind) noexcept;

inline constexpr unsigned kSlots = 24;            // in a file of kSync or kMap
inline constexpr uint64_t kSyncSlotBytes = 1500;  // crosses blocks
inline constexpr uint64_t kMapSlotBytes = 512;
// kNames notes two things a file; the slot says which.
inline constexpr unsigned kCreatedSlot = 0;
inline constexpr unsigned kRemovedSlot = 1;

// One thing that can be acknowledged. Versions count from 1; 0 means never written.
struct Place {
  Kind kind = Kind::kAppend;
  unsigned file = 0;
  unsigned slot = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

// Magic, place, version, length and CRC32C, then bytes from a generator seeded with all of them.
std::string MakeRecord(const Place& place, uint64_t version);

std::string FilePath(const std::string& directory, Kind kind, unsigned file);

// The highest acknowledged version of each place, as a notes file holds them: "kind file slot
// version", one a line, appended with one write(2) after the acknowledgement.
using Notes = std::map<Place, uint64_t>;
std::string NoteLine(const Place& place, uint64_t version);
Notes ReadNotes(const std::string& path);

}  // namespace mirdax::ledger
