// SPDX-License-Identifier: BSD-2-Clause
#include "fs/fuse/init_reply.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <cstring>

#include "fs/fuse/handlers.h"

#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#endif

namespace mirdax {

bool CompleteInitReply(std::span<iovec> reply, bool allow_mmap) {
  fuse_init_out body;
  if (reply.size() != 2 || reply[1].iov_len < sizeof(body)) return false;
  std::memcpy(&body, reply[1].iov_base, sizeof(body));
  body.flags |= FUSE_HANDLE_KILLPRIV_V2;
  if (allow_mmap) {
    body.flags |= FUSE_INIT_EXT;
    body.flags2 |= static_cast<uint32_t>(FUSE_DIRECT_IO_ALLOW_MMAP >> 32);
  }
  std::memcpy(reply[1].iov_base, &body, sizeof(body));
  return true;
}

#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2

Status InterceptInitReply(fuse_session*) { return {}; }

#else

namespace {

ssize_t ReadRequest(int fd, void* buffer, size_t size, void*) { return read(fd, buffer, size); }

// The first reply of a session is the one to INIT: the kernel sends nothing else before it.
ssize_t WriteReply(int fd, iovec* vectors, int count, void* user_data) {
  Front& front = *static_cast<Front*>(user_data);
  if (front.init_unanswered) [[unlikely]] {
    front.init_unanswered = false;
    front.kill_privileges =
        CompleteInitReply(std::span(vectors, static_cast<size_t>(count)), front.direct_io);
  }
  return writev(fd, vectors, count);
}

}  // namespace

Status InterceptInitReply(fuse_session* session) {
  const fuse_custom_io io{
      .writev = WriteReply, .read = ReadRequest, .splice_receive = nullptr, .splice_send = nullptr};
  if (const int error = fuse_session_custom_io(session, &io, fuse_session_fd(session)); error != 0)
    return Fail(FromErrno(-error, "preparing the FUSE session"));
  return {};
}

#endif

}  // namespace mirdax
