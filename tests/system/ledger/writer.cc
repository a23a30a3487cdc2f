// SPDX-License-Identifier: BSD-2-Clause
#include "tests/system/ledger/writer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/system/ledger/record.h"

namespace mirdax::ledger {
namespace {

// A failed system call: what, on what, errno.
[[noreturn]] void Throw(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class File {
 public:
  File(const std::string& path, int flags) : path_(path), fd_(open(path.c_str(), flags, 0644)) {
    if (fd_ < 0) Throw("open " + path);
  }
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(File&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void Write(std::string_view bytes) const {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0) Throw("write " + path_);
    // A short write is legal only where the medium ends; the ledger never gets there.
    if (static_cast<size_t>(written) != bytes.size()) throw std::runtime_error("short write");
  }
  void WriteAt(std::string_view bytes, uint64_t offset) const {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) Throw("pwrite " + path_);
    if (static_cast<size_t>(written) != bytes.size()) throw std::runtime_error("short write");
  }
  void Sync() const {
    if (fsync(fd_) != 0) Throw("fsync " + path_);
  }
  int fd() const { return fd_; }

 private:
  std::string path_;
  int fd_;
};

// Stores into a mapping whose filesystem may be gone: SIGBUS becomes an exception.
thread_local sigjmp_buf* bus_error_return = nullptr;

void OnBusError(int) {
  if (bus_error_return != nullptr) siglongjmp(*bus_error_return, 1);
  _exit(99);
}

bool CopyToMapping(void* to, std::string_view bytes) {
  sigjmp_buf return_here;
  if (sigsetjmp(return_here, 1) != 0) {
    bus_error_return = nullptr;
    return false;
  }
  bus_error_return = &return_here;
  std::memcpy(to, bytes.data(), bytes.size());
  bus_error_return = nullptr;
  return true;
}

// One file of the ledger. Threads: one.
class Stream {
 public:
  Stream(const std::string& directory, Kind kind, unsigned file, const Notes& notes)
      : kind_(kind), file_(file), path_(FilePath(directory, kind, file)), directory_(directory) {
    for (const auto& [place, version] : notes) {
      if (place.kind == kind && place.file == file) versions_[place.slot] = version;
    }
    if (kind == Kind::kNames) {
      if (mkdir(path_.c_str(), 0755) != 0 && errno != EEXIST) Throw("mkdir " + path_);
    } else if (kind != Kind::kReplace) {
      const int append = kind == Kind::kAppend ? O_APPEND : 0;
      const int sync = kind == Kind::kSync ? O_DSYNC : 0;
      file_handle_.emplace_back(path_, O_RDWR | O_CREAT | O_CLOEXEC | append | sync);
      if (kind == Kind::kMap) Map();
      file_handle_[0].Sync();
    }
  }
  ~Stream() {
    if (mapping_ != nullptr) munmap(mapping_, kSlots * kMapSlotBytes);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // One durable step; `note` is called after each acknowledgement.
  template <typename NoteFunction>
  void Step(uint64_t random, const NoteFunction& note) {
    const bool slotted = kind_ == Kind::kSync || kind_ == Kind::kMap;
    const Place place{kind_, file_, slotted ? static_cast<unsigned>(random % kSlots) : 0};
    const uint64_t version = versions_[place.slot] + 1;
    const std::string record = MakeRecord(place, version);
    switch (kind_) {
      case Kind::kAppend:
        file_handle_[0].Write(record);
        file_handle_[0].Sync();
        break;
      case Kind::kSync:
        file_handle_[0].WriteAt(record, place.slot * kSyncSlotBytes);
        break;
      case Kind::kMap:
        Store(place.slot, record);
        break;
      case Kind::kReplace:
        Replace(record);
        break;
      case Kind::kNames:
        CreateName(version, record);
        break;
    }
    versions_[place.slot] = version;
    note(place, version);
    if (kind_ == Kind::kNames && version > 1) {
      RemoveName(version - 1);
      note(Place{kind_, file_, kRemovedSlot}, version - 1);
    }
  }

 private:
  void Map() {
    if (ftruncate(file_handle_[0].fd(), kSlots * kMapSlotBytes) != 0) Throw("ftruncate " + path_);
    mapping_ = mmap(nullptr, kSlots * kMapSlotBytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                    file_handle_[0].fd(), 0);
    if (mapping_ == MAP_FAILED) {
      mapping_ = nullptr;
      Throw("mmap " + path_);
    }
  }
  void Store(unsigned slot, std::string_view record) const {
    constexpr uint64_t kPage = 4096;
    const uint64_t offset = slot * kMapSlotBytes;
    auto* const base = static_cast<char*>(mapping_);
    if (!CopyToMapping(base + offset, record)) throw std::runtime_error("SIGBUS on " + path_);
    static_assert(kPage % kMapSlotBytes == 0, "a slot lies in one page");
    if (msync(base + offset / kPage * kPage, kPage, MS_SYNC) != 0) Throw("msync " + path_);
  }
  void Replace(std::string_view record) const {
    const std::string fresh = path_ + ".new";
    {
      const File out(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
      out.Write(record);
      out.Sync();
    }
    if (rename(fresh.c_str(), path_.c_str()) != 0) Throw("rename " + fresh);
    File(directory_, O_RDONLY | O_DIRECTORY | O_CLOEXEC).Sync();
  }
  void CreateName(uint64_t version, std::string_view record) const {
    {
      const File out(path_ + "/" + std::to_string(version), O_WRONLY | O_CREAT | O_CLOEXEC);
      out.Write(record);
      out.Sync();
    }
    File(path_, O_RDONLY | O_DIRECTORY | O_CLOEXEC).Sync();
  }
  void RemoveName(uint64_t version) const {
    const std::string name = path_ + "/" + std::to_string(version);
    if (unlink(name.c_str()) != 0) Throw("unlink " + name);
    File(path_, O_RDONLY | O_DIRECTORY | O_CLOEXEC).Sync();
  }

  Kind kind_;
  unsigned file_;
  std::string path_;
  std::string directory_;
  std::vector<File> file_handle_;  // none or one
  void* mapping_ = nullptr;
  std::map<unsigned, uint64_t> versions_;  // of each slot
};

}  // namespace

WriterResult WriteLedger(const WriterOptions& options) {
  struct sigaction action {};
  action.sa_handler = OnBusError;
  sigaction(SIGBUS, &action, nullptr);

  const Notes notes = options.resume ? ReadNotes(options.notes) : Notes{};
  std::vector<std::unique_ptr<Stream>> streams;
  for (const Kind kind : kKinds) {
    for (unsigned file = 0; file < options.files; ++file) {
      streams.push_back(std::make_unique<Stream>(options.directory, kind, file, notes));
    }
  }
  File(options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC).Sync();
  const File note_file(options.notes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
  note_file.Write("ready\n");

  std::mutex mutex;  // guards result
  WriterResult result;
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  const auto work = [&](unsigned thread) {
    std::mt19937_64 random(options.seed * 1000 + thread);
    uint64_t acknowledged = 0;
    std::string failure;
    const auto note = [&](const Place& place, uint64_t version) {
      note_file.Write(NoteLine(place, version));
      ++acknowledged;
    };
    try {
      while (std::chrono::steady_clock::now() < end) {
        const size_t mine = (streams.size() - thread - 1) / options.threads + 1;
        streams[thread + random() % mine * options.threads]->Step(random(), note);
      }
    } catch (const std::exception& error) {
      failure = error.what();
    }
    const std::lock_guard lock(mutex);
    result.acknowledged += acknowledged;
    if (result.failure.empty()) result.failure = failure;
  };
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < options.threads; ++thread) threads.emplace_back(work, thread);
  for (std::thread& thread : threads) thread.join();
  return result;
}

}  // namespace mirdax::ledger
