// SPDX-License-Identifier: BSD-2-Clause
// ledger write|check: the program that tests/system/ledger.sh runs on a mount.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "tests/system/ledger/checker.h"
#include "tests/system/ledger/record.h"
#include "tests/system/ledger/writer.h"

namespace {

int Write(const mirdax::ledger::WriterOptions& options, bool expect_no_failure) {
  const mirdax::ledger::WriterResult result = mirdax::ledger::WriteLedger(options);
  std::cout << result.acknowledged << " acknowledged\n";
  if (result.failure.empty()) return 0;
  std::cerr << "stopped: " << result.failure << "\n";
  return expect_no_failure ? 1 : 0;
}

int Check(const mirdax::ledger::WriterOptions& options) {
  const mirdax::ledger::Notes notes = mirdax::ledger::ReadNotes(options.notes);
  if (notes.empty()) {
    std::cerr << options.notes << ": nothing was acknowledged\n";
    return 1;
  }
  const auto problems = mirdax::ledger::CheckLedger(options.directory, notes, options.files);
  for (const std::string& problem : problems) std::cerr << problem << "\n";
  return problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  mirdax::ledger::WriterOptions options;
  bool expect_no_failure = false;
  CLI::App app{"writes records that say who they are, or checks that they survived"};
  CLI::App* const write = app.add_subcommand("write", "write until time is up or a call fails");
  CLI::App* const check = app.add_subcommand("check", "compare the files with the notes");
  for (CLI::App* const command : {write, check}) {
    command->add_option("directory", options.directory)->required();
    command->add_option("notes", options.notes)->required();
    command->add_option("--files", options.files, "files of each kind")->check(CLI::PositiveNumber);
  }
  write->add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  write->add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  write->add_option("--seed", options.seed);
  write->add_flag("--resume", options.resume, "go on from the notes");
  write->add_flag("--expect-no-failure", expect_no_failure, "a failed call is an error");
  app.require_subcommand(1);
  CLI11_PARSE(app, argc, argv);
  try {
    return write->parsed() ? Write(options, expect_no_failure) : Check(options);
  } catch (const std::exception& error) {
    std::cerr << "ledger: " << error.what() << "\n";
    return 1;
  }
}
