// SPDX-License-Identifier: BSD-2-Clause
// many_files create|stat|list|remove DIR COUNT: works on COUNT empty files of one directory from
// two threads, and fails at the first call that does.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr unsigned kThreads = 2;

std::string Name(unsigned long number) { return "file-" + std::to_string(number); }

[[noreturn]] void Die(const char* what, const std::string& name) {
  std::fprintf(stderr, "%s %s: %s\n", what, name.c_str(), std::strerror(errno));
  std::exit(1);
}

void Work(std::string_view action, int directory, unsigned long first, unsigned long count) {
  for (unsigned long number = first; number < count; number += kThreads) {
    const std::string name = Name(number);
    if (action == "create") {
      const int fd = openat(directory, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
      if (fd < 0 || close(fd) != 0) Die("create", name);
    } else if (action == "stat") {
      struct stat status {};
      if (fstatat(directory, name.c_str(), &status, 0) != 0) Die("stat", name);
    } else if (unlinkat(directory, name.c_str(), 0) != 0) {
      Die("remove", name);
    }
  }
}

// Each of the names once, and no other.
void List(const char* path, unsigned long count) {
  DIR* const directory = opendir(path);
  if (directory == nullptr) Die("opendir", path);
  std::vector<bool> seen(count);
  unsigned long found = 0;
  errno = 0;
  while (const dirent* const entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with("file-")) continue;
    const unsigned long number = std::strtoul(entry->d_name + 5, nullptr, 10);
    if (number >= count || seen[number]) {
      std::fprintf(stderr, "%s: listed twice, or never made\n", entry->d_name);
      std::exit(1);
    }
    seen[number] = true;
    ++found;
  }
  if (errno != 0) Die("readdir", path);
  closedir(directory);
  if (found != count) {
    std::fprintf(stderr, "%lu of %lu names listed\n", found, count);
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view action = argc == 4 ? argv[1] : "";
  if (action != "create" && action != "stat" && action != "list" && action != "remove") {
    std::fprintf(stderr, "usage: many_files create|stat|list|remove DIR COUNT\n");
    return 2;
  }
  const unsigned long count = std::strtoul(argv[3], nullptr, 10);
  const auto start = std::chrono::steady_clock::now();
  if (action == "list") {
    List(argv[2], count);
  } else {
    const int directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) Die("open", argv[2]);
    std::vector<std::thread> threads;
    for (unsigned first = 0; first < kThreads; ++first) {
      threads.emplace_back(Work, action, directory, first, count);
    }
    for (std::thread& thread : threads) thread.join();
    close(directory);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::printf("%.*s: %lu files in %.1f s, %.0f a second\n", static_cast<int>(action.size()),
              action.data(), count, elapsed.count(), static_cast<double>(count) / elapsed.count());
  return 0;
}
