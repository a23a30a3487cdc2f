// SPDX-License-Identifier: BSD-2-Clause
// durable_call prepare DIR      makes and syncs the files that the calls work on
// durable_call NAME DIR         makes one call that promises durability, and returns once it has
//                               succeeded
// durable_call check NAME DIR   after a power cut: exit code 1 when what the call stored is not
// there durable_call list             prints the names
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

constexpr size_t kBlock = 4096;
constexpr off_t kOffset = 2 * kBlock;  // where every call stores
constexpr size_t kFileSize = 16 * kBlock;

// Page-aligned, as O_DIRECT wants it.
alignas(kBlock) std::array<char, 2 * kBlock> bytes;

[[noreturn]] void Die(const std::string& what) {
  perror(what.c_str());
  exit(2);
}
void Require(bool ok, const char* what) {
  if (!ok) Die(what);
}
int Open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  Require(fd >= 0, path.c_str());
  return fd;
}

void Store(const std::string& path, int flags) {
  Require(pwrite(Open(path, O_WRONLY | flags), bytes.data(), bytes.size(), kOffset) ==
              static_cast<ssize_t>(bytes.size()),
          "pwrite");
}

void StoreAsynchronously(const std::string& path, int flags) {
  aio_context_t context = 0;
  Require(syscall(SYS_io_setup, 1, &context) == 0, "io_setup");
  iocb control{};
  control.aio_fildes = static_cast<uint32_t>(Open(path, O_WRONLY | flags));
  control.aio_lio_opcode = IOCB_CMD_PWRITE;
  control.aio_buf = reinterpret_cast<uint64_t>(bytes.data());
  control.aio_nbytes = bytes.size();
  control.aio_offset = kOffset;
  iocb* list = &control;
  Require(syscall(SYS_io_submit, context, 1, &list) == 1, "io_submit");
  io_event event{};
  Require(syscall(SYS_io_getevents, context, 1, 1, &event, nullptr) == 1, "io_getevents");
  Require(event.res == static_cast<int64_t>(bytes.size()), "the asynchronous write");
}

void StoreWithFlag(const std::string& path) {
  const iovec vector{bytes.data(), bytes.size()};
  Require(pwritev2(Open(path, O_WRONLY), &vector, 1, kOffset, RWF_DSYNC) ==
              static_cast<ssize_t>(bytes.size()),
          "pwritev2");
}

void Copy(const std::string& dir, const std::string& path, int flags) {
  const int from = Open(dir + "/source", O_RDONLY);
  const int to = Open(path, O_WRONLY | flags);
  off_t from_offset = 0;
  off_t to_offset = kOffset;
  for (size_t left = bytes.size(); left > 0;) {
    const ssize_t n = copy_file_range(from, &from_offset, to, &to_offset, left, 0);
    Require(n > 0, "copy_file_range");
    left -= static_cast<size_t>(n);
  }
}

void StoreThroughMapping(const std::string& path) {
  void* map = mmap(nullptr, kFileSize, PROT_READ | PROT_WRITE, MAP_SHARED, Open(path, O_RDWR), 0);
  Require(map != MAP_FAILED, "mmap");
  std::memcpy(static_cast<char*>(map) + kOffset, bytes.data(), bytes.size());
  Require(msync(map, kFileSize, MS_SYNC) == 0, "msync");
}

struct Call {
  const char* name;
  std::function<void(const std::string& dir, const std::string& path)> run;
};

const std::vector<Call>& Calls() {
  static const std::vector<Call> calls = {
      {"fsync",
       [](const std::string&, const std::string& path) {
         Store(path, 0);
         Require(fsync(Open(path, O_RDONLY)) == 0, "fsync");
       }},
      {"O_SYNC", [](const std::string&, const std::string& path) { Store(path, O_SYNC); }},
      {"O_DSYNC", [](const std::string&, const std::string& path) { Store(path, O_DSYNC); }},
      {"O_DIRECT_O_DSYNC",
       [](const std::string&, const std::string& path) { Store(path, O_DIRECT | O_DSYNC); }},
      {"aio_O_DIRECT_O_DSYNC",
       [](const std::string&, const std::string& path) {
         StoreAsynchronously(path, O_DIRECT | O_DSYNC);
       }},
      {"aio_O_SYNC",
       [](const std::string&, const std::string& path) { StoreAsynchronously(path, O_SYNC); }},
      {"RWF_DSYNC", [](const std::string&, const std::string& path) { StoreWithFlag(path); }},
      {"msync", [](const std::string&, const std::string& path) { StoreThroughMapping(path); }},
      {"copy_file_range_O_SYNC",
       [](const std::string& dir, const std::string& path) { Copy(dir, path, O_SYNC); }},
      {"copy_file_range_new_O_DSYNC", [](const std::string& dir, const std::string& path) {
         Require(unlink(path.c_str()) == 0, "unlink");
         Copy(dir, path, O_CREAT | O_EXCL | O_DSYNC);
       }}};
  return calls;
}

void Prepare(const std::string& dir) {
  const std::string old(kFileSize, 'o');
  for (const Call& call : Calls()) {
    const int fd = Open(dir + "/" + call.name, O_WRONLY | O_CREAT | O_TRUNC);
    Require(write(fd, old.data(), old.size()) == static_cast<ssize_t>(old.size()), "write");
    Require(fsync(fd) == 0, "fsync");
  }
  const int fd = Open(dir + "/source", O_WRONLY | O_CREAT | O_TRUNC);
  Require(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "write");
  Require(fsync(fd) == 0, "fsync");
}

int Check(const std::string& path) {
  std::array<char, bytes.size()> seen{};
  if (pread(Open(path, O_RDONLY), seen.data(), seen.size(), kOffset) ==
          static_cast<ssize_t>(seen.size()) &&
      seen == bytes)
    return 0;
  fprintf(stderr, "%s: what was acknowledged is not there\n", path.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  bytes.fill('n');
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words == std::vector<std::string>{"list"}) {
    for (const Call& call : Calls()) puts(call.name);
    return 0;
  }
  if (words.size() == 3 && words[0] == "check") return Check(words[2] + "/" + words[1]);
  if (words.size() == 2 && words[0] == "prepare") {
    Prepare(words[1]);
    return 0;
  }
  const auto call = std::find_if(Calls().begin(), Calls().end(), [&](const Call& candidate) {
    return words.size() == 2 && words[0] == candidate.name;
  });
  if (call == Calls().end()) {
    fprintf(stderr, "usage: durable_call prepare DIR | NAME DIR | check NAME DIR | list\n");
    return 2;
  }
  call->run(words[1], words[1] + "/" + call->name);
  return 0;
}
