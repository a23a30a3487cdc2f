// SPDX-License-Identifier: BSD-2-Clause
// Requests about names.
#include "fs/fuse/handlers.h"

namespace mirdax::fuse {
namespace {

// The kernel never holds a file without a name in between, so the new file is answered open.
void ReplyCreated(fuse_req_t request, Front& front, const Attributes& attributes,
                  fuse_file_info* file) {
  const fuse_entry_param entry = ToEntry(front, attributes);
  file->fh = HandleOf(file->flags);
  file->direct_io = front.direct_io ? 1 : 0;
  file->keep_cache = front.direct_io ? 0 : 1;
  if (fuse_reply_create(request, &entry, file) != 0) front.volume.Forget(attributes.ino, 1);
}

}  // namespace

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Answer(request, [&](Front& front) -> Status {
    Result<Attributes> found = front.volume.Lookup(parent, name);
    if (!found && found.error().code == ErrorCode::kNotFound) {
      // Inode 0 is "not there", which the kernel may remember too.
      fuse_entry_param absent{};
      absent.entry_timeout = kCacheSeconds;
      fuse_reply_entry(request, &absent);
      return {};
    }
    if (!found) return Fail(std::move(found).error());
    ReplyEntry(request, front, *found);
    return {};
  });
}

void Forget(fuse_req_t request, fuse_ino_t ino, uint64_t count) {
  FrontOf(request).volume.Forget(ino, count);
  fuse_reply_none(request);
}

void ForgetMulti(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  Front& front = FrontOf(request);
  for (size_t i = 0; i < count; ++i) front.volume.Forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(request);
}

void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes made,
                  S_ISREG(mode)
                      ? front.volume.Create(parent, name, mode, CallerOf(request))
                      : front.volume.MakeNode(parent, name, mode, static_cast<uint32_t>(rdev),
                                              CallerOf(request)));
    ReplyEntry(request, front, made);
    return {};
  });
}

void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes made,
                  front.volume.MakeDirectory(parent, name, mode, CallerOf(request)));
    ReplyEntry(request, front, made);
    return {};
  });
}

void MakeSymlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes made,
                  front.volume.MakeSymlink(parent, name, target, CallerOf(request)));
    ReplyEntry(request, front, made);
    return {};
  });
}

void ReadLink(fuse_req_t request, fuse_ino_t ino) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const std::string target, front.volume.ReadLink(ino));
    fuse_reply_readlink(request, target.c_str());
    return {};
  });
}

void Link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t new_parent, const char* new_name) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes linked, front.volume.Link(ino, new_parent, new_name));
    ReplyEntry(request, front, linked);
    return {};
  });
}

void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  AnswerStatus(request, [&](Front& front) { return front.volume.Unlink(parent, name); });
}

void RemoveDirectory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  AnswerStatus(request, [&](Front& front) { return front.volume.RemoveDirectory(parent, name); });
}

void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned flags) {
  AnswerStatus(request, [&](Front& front) {
    return front.volume.Rename(parent, name, new_parent, new_name, flags);
  });
}

void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* file) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes made,
                  front.volume.Create(parent, name, mode, CallerOf(request)));
    ReplyCreated(request, front, made, file);
    return {};
  });
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
void OpenTemporary(fuse_req_t request, fuse_ino_t parent, mode_t mode, fuse_file_info* file) {
  Answer(request, [&](Front& front) -> Status {
    MIRDAX_ASSIGN(const Attributes made,
                  front.volume.OpenTemporary(parent, mode, CallerOf(request)));
    ReplyCreated(request, front, made, file);
    return {};
  });
}
#endif

}  // namespace mirdax::fuse
