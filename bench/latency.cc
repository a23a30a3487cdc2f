// SPDX-License-Identifier: BSD-2-Clause
// latency WORKLOAD DIR [COUNT]: runs one workload in DIR and prints a line of JSON for each figure.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr uint64_t kSmall = 4096;
constexpr uint64_t kLarge = 1024 * 1024;
constexpr uint64_t kFileBytes = 256 * kLarge;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "latency: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}
void Check(bool good, const std::string& what) {
  if (!good) Die(what);
}

double Seconds(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Times `count` calls one by one.
void Report(const char* name, long count, const std::function<void(long)>& call) {
  std::vector<double> microseconds(static_cast<size_t>(count));
  const auto start = SteadyClock::now();
  for (long i = 0; i < count; ++i) {
    const auto call_start = SteadyClock::now();
    call(i);
    microseconds[static_cast<size_t>(i)] = Seconds(call_start) * 1e6;
  }
  const double total = Seconds(start);
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double part) {
    return microseconds[static_cast<size_t>(part * static_cast<double>(count - 1))];
  };
  std::printf(
      "{\"name\": \"%s\", \"count\": %ld, \"p50_us\": %.2f, \"p99_us\": %.2f, "
      "\"per_second\": %.0f}\n",
      name, count, at(0.5), at(0.99), static_cast<double>(count) / total);
}

void ReportRate(const char* name, uint64_t bytes, double seconds) {
  std::printf("{\"name\": \"%s\", \"mb_per_second\": %.0f}\n", name,
              static_cast<double>(bytes) / seconds / 1e6);
}

int Open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  Check(fd >= 0, path);
  return fd;
}

// What a daemon is asked for must not be in the page cache.
void DropCaches() {
  sync();
  const int fd = Open("/proc/sys/vm/drop_caches", O_WRONLY);
  Check(write(fd, "3", 1) == 1, "drop_caches");
  close(fd);
}

std::string Filled(const std::string& directory) {
  const std::string path = directory + "/bench.data";
  const int fd = Open(path, O_WRONLY | O_CREAT);
  std::vector<char> block(kLarge);
  std::mt19937_64 random(1);
  std::generate(block.begin(), block.end(), [&] { return static_cast<char>(random()); });
  for (uint64_t at = 0; at < kFileBytes; at += kLarge) {
    Check(pwrite(fd, block.data(), kLarge, static_cast<off_t>(at)) == kLarge, "fill " + path);
  }
  Check(fsync(fd) == 0, "fsync " + path);
  close(fd);
  return path;
}

class RandomBlocks {
 public:
  off_t Next() { return static_cast<off_t>(random_() % (kFileBytes / kSmall) * kSmall); }

 private:
  std::mt19937_64 random_{7};
};

void RandomSyncWrite(const std::string& directory, long count) {
  const int fd = Open(Filled(directory), O_WRONLY | O_SYNC);
  const std::string block(kSmall, 's');
  RandomBlocks blocks;
  Report("random_write_osync", count,
         [&](long) { Check(pwrite(fd, block.data(), kSmall, blocks.Next()) == kSmall, "pwrite"); });
  close(fd);
}

void RandomWriteFsync(const std::string& directory, long count) {
  const int fd = Open(Filled(directory), O_WRONLY);
  const std::string block(kSmall, 'f');
  RandomBlocks blocks;
  Report("random_write_fsync", count, [&](long) {
    Check(pwrite(fd, block.data(), kSmall, blocks.Next()) == kSmall, "pwrite");
    Check(fsync(fd) == 0, "fsync");
  });
  close(fd);
}

void MapWriteSync(const std::string& directory, long count) {
  const int fd = Open(Filled(directory), O_RDWR);
  void* const mapping = mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  Check(mapping != MAP_FAILED, "mmap");
  auto* const bytes = static_cast<char*>(mapping);
  RandomBlocks blocks;
  Report("mmap_write_msync", count, [&](long i) {
    const off_t offset = blocks.Next();
    std::memset(bytes + offset, static_cast<char>(i), kSmall);
    Check(msync(bytes + offset, kSmall, MS_SYNC) == 0, "msync");
  });
  munmap(mapping, kFileBytes);
  close(fd);
}

void RandomRead(const std::string& directory, long count) {
  const int fd = Open(Filled(directory), O_RDONLY);
  std::vector<off_t> offsets(kFileBytes / kSmall);  // each block once: none comes from the cache
  for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = static_cast<off_t>(i * kSmall);
  std::shuffle(offsets.begin(), offsets.end(), std::mt19937_64(7));
  DropCaches();
  Check(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0, "fadvise");
  std::string block(kSmall, '\0');
  Report("random_read", std::min(count, static_cast<long>(offsets.size())), [&](long i) {
    Check(pread(fd, block.data(), kSmall, offsets[static_cast<size_t>(i)]) == kSmall, "pread");
  });
  close(fd);
}

void SequentialWrite(const std::string& directory, long count) {
  const std::string path = directory + "/bench.sequential";
  const std::string block(kLarge, 'w');
  const auto start = SteadyClock::now();
  const int fd = Open(path, O_WRONLY | O_CREAT | O_TRUNC);
  for (long i = 0; i < count; ++i) Check(write(fd, block.data(), kLarge) == kLarge, "write");
  Check(fsync(fd) == 0, "fsync");
  ReportRate("sequential_write", static_cast<uint64_t>(count) * kLarge, Seconds(start));
  close(fd);
  unlink(path.c_str());
}

void SequentialRead(const std::string& directory, long) {
  const int fd = Open(Filled(directory), O_RDONLY);
  DropCaches();
  std::string block(kLarge, '\0');
  const auto start = SteadyClock::now();
  uint64_t bytes = 0;
  for (ssize_t got = 0; (got = read(fd, block.data(), kLarge)) != 0;) {
    Check(got > 0, "read");
    bytes += static_cast<uint64_t>(got);
  }
  ReportRate("sequential_read", bytes, Seconds(start));
  close(fd);
}

void Names(const std::string& directory, long count) {
  const std::string parent = directory + "/bench.names";
  Check(mkdir(parent.c_str(), 0755) == 0, parent);
  const auto name = [&](long i, const char* prefix) {
    return parent + "/" + prefix + std::to_string(i);
  };
  const std::string block(kSmall, 'n');
  Report("create_write_4k", count, [&](long i) {
    const int fd = Open(name(i, "a"), O_WRONLY | O_CREAT | O_EXCL);
    Check(write(fd, block.data(), kSmall) == kSmall, "write");
    Check(close(fd) == 0, "close");
  });
  DropCaches();  // or stat would be answered by the kernel alone
  Report("stat", count, [&](long i) {
    struct stat status {};
    Check(stat(name(i, "a").c_str(), &status) == 0, "stat");
  });
  Report("rename", count,
         [&](long i) { Check(rename(name(i, "a").c_str(), name(i, "b").c_str()) == 0, "rename"); });
  Report("unlink", count, [&](long i) { Check(unlink(name(i, "b").c_str()) == 0, "unlink"); });
  rmdir(parent.c_str());
}

void Sqlite(const std::string& directory, long count) {
  for (const char* const mode : {"WAL", "DELETE"}) {
    const std::string path = directory + "/bench." + mode + ".db";
    sqlite3* db = nullptr;
    const auto run = [&](const std::string& statement) {
      char* message = nullptr;
      if (sqlite3_exec(db, statement.c_str(), nullptr, nullptr, &message) == SQLITE_OK) return;
      std::fprintf(stderr, "latency: sqlite: %s\n", message);
      std::exit(1);
    };
    Check(sqlite3_open(path.c_str(), &db) == SQLITE_OK, path);
    run(std::string("PRAGMA journal_mode=") + mode);
    run("PRAGMA synchronous=FULL");
    run("CREATE TABLE t(number INTEGER PRIMARY KEY, text TEXT)");
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(db, "INSERT INTO t(text) VALUES (hex(randomblob(50)))", -1, &insert,
                       nullptr);
    const std::string figure = mode == std::string_view("WAL") ? "sqlite_wal" : "sqlite_rollback";
    Report(figure.c_str(), count, [&](long) {
      Check(sqlite3_step(insert) == SQLITE_DONE, "INSERT");
      sqlite3_reset(insert);
    });
    sqlite3_finalize(insert);
    sqlite3_close(db);
    unlink(path.c_str());
  }
}

struct Workload {
  void (*run)(const std::string&, long);
  long count;
};
const std::map<std::string_view, Workload> kWorkloads = {
    {"random_write_osync", {RandomSyncWrite, 20000}},
    {"random_write_fsync", {RandomWriteFsync, 20000}},
    {"mmap_write_msync", {MapWriteSync, 10000}},
    {"random_read", {RandomRead, 50000}},
    {"sequential_write", {SequentialWrite, 512}},
    {"sequential_read", {SequentialRead, 1}},
    {"names", {Names, 20000}},
    {"sqlite", {Sqlite, 5000}},
};

}  // namespace

int main(int argc, char** argv) {
  const auto found = argc < 3 ? kWorkloads.end() : kWorkloads.find(argv[1]);
  const long count = argc == 4 ? std::atol(argv[3]) : 0;
  if (found == kWorkloads.end() || argc > 4 || (argc == 4 && count <= 0)) {
    std::fprintf(stderr, "usage: latency WORKLOAD DIR [COUNT]; workloads:");
    for (const auto& [name, workload] : kWorkloads) std::fprintf(stderr, " %s", name.data());
    std::fprintf(stderr, "\n");
    return 2;
  }
  found->second.run(argv[2], count > 0 ? count : found->second.count);
  return 0;
}
