// SPDX-License-Identifier: BSD-2-Clause
#include "tests/system/ledger/checker.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

namespace mirdax::ledger {
namespace {

class Checker {
 public:
  Checker(const std::string& directory, const Notes& notes)
      : directory_(directory), notes_(notes) {}

  void Append(unsigned file) {
    const Place place{Kind::kAppend, file, 0};
    const std::string path = FilePath(directory_, place.kind, file);
    const std::optional<std::string> content = Load(path);
    if (!content) return Report(path, "is missing or cannot be read");
    const uint64_t acknowledged = Noted(place);
    size_t at = 0;
    for (uint64_t version = 1; at < content->size() || version <= acknowledged; ++version) {
      const std::string record = MakeRecord(place, version);
      const std::string_view found = std::string_view(*content).substr(at, record.size());
      if (!std::string_view(record).starts_with(found)) {
        return Report(path, "bytes never written here, in record " + std::to_string(version));
      }
      if (version <= acknowledged && found.size() < record.size()) {
        return Report(path, "ends in acknowledged record " + std::to_string(version) + " of " +
                                std::to_string(acknowledged));
      }
      if (version > acknowledged + 1 && !found.empty()) {
        return Report(path, "holds record " + std::to_string(version) + ", never begun");
      }
      at += found.size();
      if (found.size() < record.size()) break;
    }
  }

  void Slots(Kind kind, unsigned file, uint64_t slot_bytes) {
    const std::string path = FilePath(directory_, kind, file);
    const std::optional<std::string> content = Load(path);
    if (!content) return Report(path, "is missing or cannot be read");
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      const Place place{kind, file, slot};
      const uint64_t acknowledged = Noted(place);
      const std::string nothing(slot_bytes, '\0');
      const std::string old = acknowledged == 0 ? nothing : MakeRecord(place, acknowledged);
      const std::string next = MakeRecord(place, acknowledged + 1);
      const size_t start = std::min<size_t>(slot * slot_bytes, content->size());
      const std::string_view found = std::string_view(*content).substr(start, slot_bytes);
      if (found.size() < slot_bytes && acknowledged > 0) {
        Report(path, "ends in acknowledged slot " + std::to_string(slot));
        continue;
      }
      for (size_t i = 0; i < found.size(); ++i) {
        if (found[i] == old[i] || found[i] == next[i]) continue;
        Report(path, "slot " + std::to_string(slot) + " byte " + std::to_string(i) +
                         " is neither of version " + std::to_string(acknowledged) +
                         ", which was acknowledged, nor of the next");
        break;
      }
    }
  }

  void Replace(unsigned file) {
    const Place place{Kind::kReplace, file, 0};
    const std::string path = FilePath(directory_, place.kind, file);
    const uint64_t acknowledged = Noted(place);
    const std::optional<std::string> content = Load(path);
    const std::string next = MakeRecord(place, acknowledged + 1);
    if (!content) {
      if (acknowledged > 0)
        Report(path, "is missing; version " + std::to_string(acknowledged) + " was acknowledged");
    } else if (*content != next &&
               (acknowledged == 0 || *content != MakeRecord(place, acknowledged))) {
      Report(path, "is neither version " + std::to_string(acknowledged) + " nor the next");
    }
    const std::optional<std::string> fresh = Load(path + ".new");
    if (fresh && !next.starts_with(*fresh)) {
      Report(path + ".new", "is no first part of version " + std::to_string(acknowledged + 1));
    }
  }

  void Names(unsigned file) {
    const Place created{Kind::kNames, file, kCreatedSlot};
    const uint64_t last = Noted(created);
    const uint64_t removed = Noted(Place{Kind::kNames, file, kRemovedSlot});
    const std::string path = FilePath(directory_, Kind::kNames, file);
    std::error_code error;
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      names.insert(entry.path().filename());
    }
    if (error) return Report(path, error.message());
    // One beyond each end may be in flight: the file after `last`, and, once a newer one was
    // acknowledged, the removal after `removed`.
    for (uint64_t version = removed + 1; version <= last + 1; ++version) {
      const std::string name = std::to_string(version);
      const bool present = names.erase(name) > 0;
      const bool may_be_removed = version == removed + 1 && version < last;
      if (!present) {
        if (version <= last && !may_be_removed) Report(path + "/" + name, "is missing");
        continue;
      }
      const std::string record = MakeRecord(created, version);
      const std::optional<std::string> content = Load(path + "/" + name);
      if (!content) {
        Report(path + "/" + name, "cannot be read");
      } else if (version <= last ? *content != record : !record.starts_with(*content)) {
        Report(path + "/" + name, "does not hold its record");
      }
    }
    for (const std::string& name : names) Report(path + "/" + name, "should not be there");
  }

  void NoOtherNames(unsigned files) {
    std::set<std::string> expected;
    for (const Kind kind : kKinds) {
      for (unsigned file = 0; file < files; ++file) {
        expected.insert(std::filesystem::path(FilePath(directory_, kind, file)).filename());
        if (kind == Kind::kReplace) {
          expected.insert(
              std::filesystem::path(FilePath(directory_, kind, file)).filename().string() + ".new");
        }
      }
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
      if (!expected.contains(entry.path().filename())) Report(entry.path(), "was never made");
    }
    if (error) Report(directory_, error.message());
  }

  std::vector<std::string> TakeReports() { return std::move(reports_); }

 private:
  static std::optional<std::string> Load(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    if (!in) return std::nullopt;
    if (in.peek() != std::ifstream::traits_type::eof()) out << in.rdbuf();
    if (in.bad() || out.fail()) return std::nullopt;
    return std::move(out).str();
  }
  uint64_t Noted(const Place& place) const {
    const auto found = notes_.find(place);
    return found == notes_.end() ? 0 : found->second;
  }
  void Report(const std::string& path, const std::string& what) {
    reports_.push_back(path + ": " + what);
  }

  std::string directory_;
  const Notes& notes_;
  std::vector<std::string> reports_;
};

}  // namespace

std::vector<std::string> CheckLedger(const std::string& directory, const Notes& notes,
                                     unsigned files) {
  Checker checker(directory, notes);
  for (unsigned file = 0; file < files; ++file) {
    checker.Append(file);
    checker.Slots(Kind::kSync, file, kSyncSlotBytes);
    checker.Slots(Kind::kMap, file, kMapSlotBytes);
    checker.Replace(file);
    checker.Names(file);
  }
  checker.NoOtherNames(files);
  return checker.TakeReports();
}

}  // namespace mirdax::ledger
