// SPDX-License-Identifier: BSD-2-Clause
// nullfs DIR: a FUSE daemon that does nothing, the floor under every figure of a FUSE filesystem.
// It remembers names and sizes; bytes written are dropped, bytes read are zeros. What it asks of
// the kernel (caching, thread loop, request size) is what mount.mirdax asks.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

constexpr double kCacheSeconds = 86400;
constexpr size_t kMaxRequest = 1024 * 1024;

struct Node {
  mode_t mode = S_IFREG | 0644;
  off_t size = 0;
};

// Threads: every handler runs on any thread of the loop.
struct State {
  std::mutex mutex;  // guards all below
  std::map<std::pair<fuse_ino_t, std::string>, fuse_ino_t> names;
  std::unordered_map<fuse_ino_t, Node> nodes{{FUSE_ROOT_ID, {S_IFDIR | 0755, 0}}};
  fuse_ino_t next = FUSE_ROOT_ID + 1;
};
State state;
const std::vector<char> zeros(kMaxRequest);

struct stat ToStat(fuse_ino_t ino, const Node& node) {
  struct stat out {};
  out.st_ino = ino;
  out.st_mode = node.mode;
  out.st_nlink = 1;
  out.st_size = node.size;
  out.st_blocks = node.size / 512;
  out.st_blksize = 4096;
  return out;
}

fuse_entry_param ToEntry(fuse_ino_t ino, const Node& node) {
  fuse_entry_param entry{};
  entry.ino = ino;
  entry.attr = ToStat(ino, node);
  entry.attr_timeout = kCacheSeconds;
  entry.entry_timeout = kCacheSeconds;
  return entry;
}

// Adds a name; the mutex is held.
fuse_entry_param Add(fuse_ino_t parent, const char* name, mode_t mode) {
  const fuse_ino_t ino = state.next++;
  state.names[{parent, name}] = ino;
  const Node& node = state.nodes[ino] = Node{mode, 0};
  return ToEntry(ino, node);
}

void Init(void*, fuse_conn_info* connection) {
  connection->want =
      connection->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
                             FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT);
  connection->max_write = kMaxRequest;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  connection->time_gran = 1;
}

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const std::lock_guard lock(state.mutex);
  const auto found = state.names.find({parent, name});
  fuse_entry_param entry{};
  entry.entry_timeout = kCacheSeconds;
  if (found != state.names.end()) entry = ToEntry(found->second, state.nodes[found->second]);
  fuse_reply_entry(request, &entry);
}

void GetAttributes(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  const std::lock_guard lock(state.mutex);
  const struct stat out = ToStat(ino, state.nodes[ino]);
  fuse_reply_attr(request, &out, kCacheSeconds);
}

void SetAttributes(fuse_req_t request, fuse_ino_t ino, struct stat* wanted, int to_set,
                   fuse_file_info*) {
  const std::lock_guard lock(state.mutex);
  Node& node = state.nodes[ino];
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0) node.size = wanted->st_size;
  const struct stat out = ToStat(ino, node);
  fuse_reply_attr(request, &out, kCacheSeconds);
}

void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  const std::lock_guard lock(state.mutex);
  const fuse_entry_param entry = Add(parent, name, S_IFDIR | mode);
  fuse_reply_entry(request, &entry);
}

void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* file) {
  const std::lock_guard lock(state.mutex);
  const fuse_entry_param entry = Add(parent, name, S_IFREG | mode);
  file->keep_cache = 1;
  fuse_reply_create(request, &entry, file);
}

void Remove(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const std::lock_guard lock(state.mutex);
  const auto found = state.names.find({parent, name});
  if (found == state.names.end()) return void(fuse_reply_err(request, ENOENT));
  state.nodes.erase(found->second);
  state.names.erase(found);
  fuse_reply_err(request, 0);
}

void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned int) {
  const std::lock_guard lock(state.mutex);
  const auto found = state.names.find({parent, name});
  if (found == state.names.end()) return void(fuse_reply_err(request, ENOENT));
  const fuse_ino_t ino = found->second;
  state.names.erase(found);
  state.names[{new_parent, new_name}] = ino;
  fuse_reply_err(request, 0);
}

void Open(fuse_req_t request, fuse_ino_t, fuse_file_info*) { fuse_reply_err(request, ENOSYS); }

void Read(fuse_req_t request, fuse_ino_t, size_t size, off_t, fuse_file_info*) {
  fuse_reply_buf(request, zeros.data(), std::min(size, zeros.size()));
}

void Write(fuse_req_t request, fuse_ino_t ino, const char*, size_t size, off_t offset,
           fuse_file_info*) {
  {
    const std::lock_guard lock(state.mutex);
    Node& node = state.nodes[ino];
    node.size = std::max(node.size, offset + static_cast<off_t>(size));
  }
  fuse_reply_write(request, size);
}

void Fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) { fuse_reply_err(request, 0); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || std::string_view(argv[1]).starts_with("-")) {
    std::fprintf(stderr, "usage: nullfs DIR (stays in the foreground until it is unmounted)\n");
    return 2;
  }
  fuse_lowlevel_ops operations{};
  operations.init = Init;
  operations.lookup = Lookup;
  operations.getattr = GetAttributes;
  operations.setattr = SetAttributes;
  operations.mkdir = MakeDirectory;
  operations.create = Create;
  operations.unlink = Remove;
  operations.rmdir = Remove;
  operations.rename = Rename;
  operations.open = Open;
  operations.opendir = Open;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = Fsync;
  operations.fsyncdir = Fsync;

  char program[] = "nullfs";
  char option[] = "-o";
  char value[] = "default_permissions,allow_other,fsname=nullfs,subtype=nullfs";
  char* arguments[] = {program, option, value};
  fuse_args args = FUSE_ARGS_INIT(3, arguments);
  fuse_session* const session = fuse_session_new(&args, &operations, sizeof operations, nullptr);
  if (session == nullptr) return 1;
  if (fuse_session_mount(session, argv[1]) != 0) return 1;
  fuse_set_signal_handlers(session);
  fuse_loop_config* const config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_max_threads(config, 10);
  fuse_loop_cfg_set_idle_threads(config, 10);
  const int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return result == 0 ? 0 : 1;
}
