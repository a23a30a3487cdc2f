// SPDX-License-Identifier: BSD-2-Clause
// Status documents for people. Everything in one came from another process, maybe from another
// machine: fields may be missing or of another type, and nothing goes to a terminal as it is.
#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/common/text.h"
#include "tools/ctl/status.h"

namespace mirdax::ctl {
namespace {

using Json = nlohmann::ordered_json;

std::string Field(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) return "-";
  const Json& value = json[key];
  std::string text;
  if (value.is_string()) {
    text = Printable(value.get<std::string>());
  } else if (value.is_boolean()) {
    text = value.get<bool>() ? "yes" : "no";
  } else if (value.is_number()) {
    text = value.dump();
  }
  return text.empty() ? "-" : text;
}

bool IsTrue(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_boolean() && json[key].get<bool>();
}

// A document that is nested without end would be written with as many nested calls.
constexpr int kMaxDepth = 16;

struct Column {
  const char* title;
  const char* key;
};

std::string Table(const Json& rows, std::span<const Column> columns) {
  std::vector<size_t> widths;
  for (const Column& column : columns) {
    size_t width = std::string_view(column.title).size();
    for (const Json& row : rows) width = std::max(width, Field(row, column.key).size());
    widths.push_back(width);
  }
  std::string text;
  const auto line = [&](const auto& cell) {
    std::string out = " ";
    for (size_t i = 0; i < columns.size(); ++i) {
      out += fmt::format(" {:<{}}", cell(columns[i]), widths[i]);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  };
  line([](const Column& column) { return std::string(column.title); });
  for (const Json& row : rows) {
    line([&](const Column& column) { return Field(row, column.key); });
  }
  return text;
}

const Json& ListOf(const Json& document, const char* key) {
  static const Json kNone = Json::array();
  return document.contains(key) && document[key].is_array() ? document[key] : kNone;
}

bool Healthy(const Json& document) {
  const Json& mirrors = ListOf(document, "mirrors");
  return Field(document, "state") == "consistent" && !IsTrue(document, "shut_down") &&
         ListOf(document, "bad_ranges").empty() &&
         std::all_of(mirrors.begin(), mirrors.end(),
                     [](const Json& mirror) { return Field(mirror, "state") == "in-sync"; });
}

}  // namespace

Result<RenderedStatus> RenderStatus(const std::string& document_text) {
  bool too_deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  const Json document = Json::parse(document_text, shallow, false);
  if (too_deep || !document.is_object() || Field(document, "kind") == "-") {
    return Fail(ErrorCode::kIncompatible, "the answer is no status document");
  }
  RenderedStatus status;
  status.healthy = Healthy(document);
  status.json = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";

  constexpr std::array kLines{
      Column{"pool", "pool"},
      Column{"mounted on", "directory"},
      Column{"label", "label"},
      Column{"set", "set_uuid"},
      Column{"copy", "copy_uuid"},
      Column{"role", "role"},
      Column{"state", "state"},
      Column{"commit LSN", "commit_lsn"},
      Column{"tail LSN", "tail_lsn"},
      Column{"applied LSN", "applied_lsn"},
      Column{"pending", "pending_bytes"},
      Column{"granularity", "granularity"},
      Column{"pm", "pm"},
      Column{"clean", "clean"},
      Column{"read-only", "read_only"},
      Column{"error", "error"},
  };
  auto out = std::back_inserter(status.text);
  fmt::format_to(out, "{}: {}{}\n", Field(document, "kind"),
                 status.healthy ? "healthy" : "DEGRADED",
                 IsTrue(document, "shut_down") ? ", SHUT DOWN after an error" : "");
  for (const Column& line : kLines) {
    if (const std::string value = Field(document, line.key); value != "-") {
      fmt::format_to(out, "  {:<12} {}\n", line.title, value);
    }
  }
  if (document.contains("epoch")) {
    fmt::format_to(out, "  {:<12} {} (id {})\n", "epoch", Field(document["epoch"], "number"),
                   Field(document["epoch"], "id"));
  }
  constexpr std::array kMirrorColumns{
      Column{"ADDRESS", "address"}, Column{"STATE", "state"},         Column{"LAG", "lag_bytes"},
      Column{"ACKED", "acked_lsn"}, Column{"APPLIED", "applied_lsn"}, Column{"METHOD", "method"},
      Column{"SINCE", "since"},     Column{"REASON", "reason"},
  };
  if (const Json& mirrors = ListOf(document, "mirrors"); !mirrors.empty()) {
    status.text += "mirrors:\n" + Table(mirrors, kMirrorColumns);
  }
  constexpr std::array kBadColumns{
      Column{"OFFSET", "offset"},
      Column{"LENGTH", "length"},
      Column{"HOLDS", "holds"},
  };
  if (const Json& bad = ListOf(document, "bad_ranges"); !bad.empty()) {
    status.text += "bytes that the medium refuses:\n" + Table(bad, kBadColumns);
  }
  constexpr std::array kPeerColumns{
      Column{"ADDRESS", "address"},
      Column{"COPY", "copy_uuid"},
      Column{"EPOCH", "epoch"},
      Column{"SINCE", "since"},
  };
  if (const Json& peers = ListOf(document, "peers"); !peers.empty()) {
    status.text += "primaries connected:\n" + Table(peers, kPeerColumns);
  }
  return status;
}

}  // namespace mirdax::ctl
