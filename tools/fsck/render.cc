// SPDX-License-Identifier: BSD-2-Clause
#include "tools/fsck/render.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

namespace mirdax::fsck {
namespace {

std::string_view SeverityName(Severity severity) {
  return severity == Severity::kError ? "error" : "warning";
}

std::string Summary(const FsckReport& report, const std::string& pool) {
  const bool blank = (report.superblock.incompat & kIncompatBlank) != 0;
  std::string what = fmt::format("{}/{} inodes, {}/{} blocks", report.inodes_in_use,
                                 report.inode_count, report.blocks_in_use, report.data_blocks);
  if (!report.contents_checked) {
    what = blank && report.clean() ? "a blank mirror, nothing to check"
                                   : "the contents were not checked";
  }
  return fmt::format("{}: {}, {}\n", pool,
                     report.clean()
                         ? std::string("clean")
                         : fmt::format("{} errors left uncorrected", report.findings.errors()),
                     what);
}

}  // namespace

std::string RenderText(const FsckReport& report, const std::string& pool, bool verbose) {
  std::string text;
  auto out = std::back_inserter(text);
  for (const Finding& finding : report.findings.kept()) {
    const CodeInfo& info = InfoOf(finding.code);
    fmt::format_to(out, "{}: {} [{}]", SeverityName(info.severity), finding.text, info.name);
    if (!finding.path.empty()) fmt::format_to(out, " at '{}'", finding.path);
    fmt::format_to(out, "; would fix by {}\n", info.fix);
  }
  if (report.findings.not_kept() != 0) {
    fmt::format_to(out, "... and {} more of the same kinds\n", report.findings.not_kept());
  }
  if (verbose && report.contents_checked) {
    fmt::format_to(out,
                   "{} directories, {} orphans, {} journal records replayed in memory, commit word "
                   "{}, tail {}\n",
                   report.directories, report.orphans, report.records_replayed, report.commit,
                   report.private_block.tail);
  }
  return text + Summary(report, pool);
}

std::string RenderJson(const FsckReport& report, const std::string& pool) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const Finding& finding : report.findings.kept()) {
    const CodeInfo& info = InfoOf(finding.code);
    nlohmann::ordered_json entry{
        {"code", info.name}, {"severity", SeverityName(info.severity)}, {"text", finding.text}};
    if (finding.ino != 0) entry["inode"] = finding.ino;
    if (finding.block != 0) entry["block"] = finding.block;
    if (!finding.path.empty()) entry["path"] = finding.path;
    entry["fix"] = info.fix;
    findings.push_back(std::move(entry));
  }
  const nlohmann::ordered_json document{
      {"pool", pool},
      {"clean", report.clean()},
      {"contents_checked", report.contents_checked},
      {"errors", report.findings.errors()},
      {"warnings", report.findings.warnings()},
      {"inodes", {{"in_use", report.inodes_in_use}, {"total", report.inode_count}}},
      {"blocks", {{"in_use", report.blocks_in_use}, {"total", report.data_blocks}}},
      {"directories", report.directories},
      {"orphans", report.orphans},
      {"records_replayed", report.records_replayed},
      {"commit_lsn", report.commit},
      {"tail_lsn", report.private_block.tail},
      {"findings", std::move(findings)},
  };
  // Paths and labels may hold any bytes.
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace mirdax::fsck
