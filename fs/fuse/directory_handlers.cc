// SPDX-License-Identifier: BSD-2-Clause
// Requests about the entries of directories.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "fs/fuse/handlers.h"

namespace mirdax::fuse {
namespace {

// The type bits of st_mode: DT_* shifted, as the kernel expects them back.
mode_t FileType(const DirEntry& entry) { return static_cast<mode_t>(entry.type) << 12; }

// Collects entries in the kernel's format until its buffer is full.
class EntryBuffer {
 public:
  explicit EntryBuffer(size_t capacity)
      : capacity_(capacity), bytes_(std::make_unique_for_overwrite<char[]>(capacity)) {}

  // False when the entry did not fit.
  bool Add(fuse_req_t request, const DirEntry& entry) {
    struct stat values;
    std::memset(&values, 0, sizeof(values));
    values.st_ino = entry.ino;
    values.st_mode = FileType(entry);
    return Took(fuse_add_direntry(request, Free(), capacity_ - used_, Terminated(entry.name),
                                  &values, static_cast<off_t>(entry.cookie)));
  }

  // The same with attributes. Without them the kernel takes the name and looks up later.
  bool AddPlus(fuse_req_t request, const DirEntry& entry, const Attributes* attributes) {
    fuse_entry_param parameters{};
    if (attributes != nullptr) {
      parameters = ToEntry(FrontOf(request), *attributes);
    } else {
      parameters.attr.st_ino = entry.ino;
      parameters.attr.st_mode = FileType(entry);
    }
    return Took(fuse_add_direntry_plus(request, Free(), capacity_ - used_, Terminated(entry.name),
                                       &parameters, static_cast<off_t>(entry.cookie)));
  }

  int Reply(fuse_req_t request) const { return fuse_reply_buf(request, bytes_.get(), used_); }
  bool empty() const { return used_ == 0; }

 private:
  char* Free() { return bytes_.get() + used_; }

  const char* Terminated(std::string_view name) {
    const size_t length = std::min(name.size(), name_.size() - 1);
    std::memcpy(name_.data(), name.data(), length);
    name_[length] = '\0';
    return name_.data();
  }

  // libfuse says how much an entry needs, and writes it only if there is room.
  bool Took(size_t needed) {
    if (needed > capacity_ - used_) return false;
    used_ += needed;
    return true;
  }

  size_t capacity_;
  size_t used_ = 0;
  std::unique_ptr<char[]> bytes_;
  std::array<char, kMaxNameLength + 1> name_{};
};

}  // namespace

void OpenDirectory(fuse_req_t request, fuse_ino_t /*ino*/, fuse_file_info* /*file*/) {
  // Nothing to do; and the kernel may keep the entries it has read (FUSE_CAP_NO_OPENDIR_SUPPORT):
  // it is the only one who changes them.
  fuse_reply_err(request, ENOSYS);
}

void ReadDirectory(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                   fuse_file_info* /*file*/) {
  Answer(request, [&](Front& front) -> Status {
    EntryBuffer buffer(size);
    Status status = front.volume.ReadDirectory(
        ino, static_cast<uint64_t>(offset), false,
        [&](const DirEntry& entry, const Attributes*) { return buffer.Add(request, entry); });
    // An error after some entries comes up again at the next read.
    if (!status && buffer.empty()) return status;
    buffer.Reply(request);
    return {};
  });
}

void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                       fuse_file_info* /*file*/) {
  Answer(request, [&](Front& front) -> Status {
    EntryBuffer buffer(size);
    std::vector<Ino> counted;  // lookup counts that the reply hands to the kernel
    Status status =
        front.volume.ReadDirectory(ino, static_cast<uint64_t>(offset), true,
                                   [&](const DirEntry& entry, const Attributes* attributes) {
                                     if (attributes != nullptr) counted.push_back(attributes->ino);
                                     if (buffer.AddPlus(request, entry, attributes)) return true;
                                     if (attributes != nullptr) counted.pop_back();
                                     return false;
                                   });
    if (!status && buffer.empty()) return status;
    if (buffer.Reply(request) != 0)
      for (const Ino child : counted) front.volume.Forget(child, 1);
    return {};
  });
}

void FsyncDirectory(fuse_req_t request, fuse_ino_t ino, int /*data_only*/,
                    fuse_file_info* /*file*/) {
  AnswerStatus(request, [&](Front& front) { return front.volume.FsyncDirectory(ino); });
}

}  // namespace mirdax::fuse
