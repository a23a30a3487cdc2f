// SPDX-License-Identifier: BSD-2-Clause
// Runs files through a target, without libFuzzer: what makes each regression input an ordinary test
// of every build. Arguments: files, and folders of files.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/target.h"

namespace {

constexpr unsigned kSecondsPerInput = 60;  // with every sanitizer, on a busy machine

std::vector<std::filesystem::path> FilesOf(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::filesystem::path& path : FilesOf(argv[i])) {
      std::ifstream file(path, std::ios::binary);
      if (!file) {
        fmt::print(stderr, "{}: cannot be read\n", path.string());
        return 1;
      }
      const std::string input(std::istreambuf_iterator<char>(file), {});
      fmt::print(stderr, "{}\n", path.string());  // the last one is the one that failed
      alarm(kSecondsPerInput);
      mirdax::fuzz::RunInput(input);
      ++count;
    }
  }
  fmt::print("{} inputs, no violation\n", count);
  return count == 0 ? 1 : 0;
}
