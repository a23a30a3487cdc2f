// SPDX-License-Identifier: BSD-2-Clause
#include "tests/system/ledger/record.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <span>
#include <sstream>

#include "fs/base/crc32c.h"

namespace mirdax::ledger {
namespace {

struct Header {
  char magic[8];
  uint32_t kind;
  uint32_t file;
  uint32_t slot;
  uint32_t crc;  // of the body
  uint64_t version;
  uint64_t length;  // of the whole record
};
static_assert(sizeof(Header) == 40);

uint64_t Mix(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

uint64_t RecordLength(const Place& place, uint64_t version, uint64_t seed) {
  if (place.kind == Kind::kSync) return kSyncSlotBytes;
  if (place.kind == Kind::kMap) return kMapSlotBytes;
  // Mostly small, sometimes many blocks: both sides of every boundary get crossed.
  return sizeof(Header) + (version % 16 == 0 ? seed % 200000 : seed % 9000);
}

}  // namespace

std::string_view KindName(Kind kind) noexcept {
  switch (kind) {
    case Kind::kAppend:
      return "append";
    case Kind::kSync:
      return "dsync";
    case Kind::kMap:
      return "mmap";
    case Kind::kReplace:
      return "replace";
    case Kind::kNames:
      return "names";
  }
  return "unknown";
}

std::string MakeRecord(const Place& place, uint64_t version) {
  const uint64_t seed =
      Mix(Mix(Mix(static_cast<uint64_t>(place.kind)) + place.file) + place.slot) + version;
  const uint64_t length = RecordLength(place, version, Mix(seed));
  std::string record(length, '\0');
  for (uint64_t at = sizeof(Header); at < length; at += sizeof(uint64_t)) {
    const uint64_t word = Mix(seed + at);
    std::memcpy(record.data() + at, &word, std::min(sizeof word, length - at));
  }
  const auto body = std::as_bytes(std::span(record)).subspan(sizeof(Header));
  const Header header{{'m', 'd', 'x', 'l', 'e', 'd', 'g', 'r'},
                      static_cast<uint32_t>(place.kind),
                      place.file,
                      place.slot,
                      Crc32c(body),
                      version,
                      length};
  std::memcpy(record.data(), &header, sizeof header);
  return record;
}

std::string FilePath(const std::string& directory, Kind kind, unsigned file) {
  return directory + "/" + std::string(KindName(kind)) + "." + std::to_string(file);
}

std::string NoteLine(const Place& place, uint64_t version) {
  return std::to_string(static_cast<unsigned>(place.kind)) + " " + std::to_string(place.file) +
         " " + std::to_string(place.slot) + " " + std::to_string(version) + "\n";
}

Notes ReadNotes(const std::string& path) {
  Notes notes;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    unsigned kind = 0;
    Place place;
    uint64_t version = 0;
    if (!(fields >> kind >> place.file >> place.slot >> version)) continue;  // "ready"
    place.kind = static_cast<Kind>(kind);
    uint64_t& highest = notes[place];
    highest = std::max(highest, version);
  }
  return notes;
}

}  // namespace mirdax::ledger
