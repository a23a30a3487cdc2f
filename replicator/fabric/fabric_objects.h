// SPDX-License-Identifier: BSD-2-Clause
// Owners of libfabric objects, and what both ends of a data connection do alike.
#pragma once

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fs/base/result.h"
#include "replicator/control_wire.h"
#include "replicator/deadline.h"

namespace mirdax::fabric {

struct CloseFid {
  template <typename T>
  void operator()(T* object) const {
    fi_close(&object->fid);
  }
};
template <typename T>
using Owned = std::unique_ptr<T, CloseFid>;

struct FreeInfo {
  void operator()(fi_info* info) const { fi_freeinfo(info); }
};
using Info = std::unique_ptr<fi_info, FreeInfo>;

inline constexpr uint32_t kApiVersion = FI_VERSION(1, 17);

Error FabricError(ssize_t code, std::string_view what, ErrorCode kind = ErrorCode::kPeerLost);

// What we can handle; the provider says in what it returns what it wants (mr_mode).
Info MakeHints(const std::string& provider);

// Makes libfabric load its providers, which takes it long the first time (it measures clocks, with
// hundreds of sleeps): call it before a deadline runs.
void LoadProviders();

// "auto": verbs where `host` belongs to an RDMA device, else tcp.
Result<Info> InfoForListening(const std::string& provider, const std::string& host);
Result<Info> InfoForConnecting(const DataEndpoint& endpoint);

// Blocks until one of the completion queues, or `stop_fd`, may have something.
struct WaitEntry {
  fid_fabric* fabric;
  fid* queue;
  int fd;
};
void WaitForQueues(std::span<const WaitEntry> entries, int stop_fd, Clock& clock,
                   Deadline deadline);

// Waits for an event of `eq`; the private data that came with it goes to `data`.
// Errors: kPeerLost (an event that says that a connection failed), kTimedOut, kIo (the queue).
struct Event {
  uint32_t type = 0;
  Info info;  // of a connection request
  std::vector<std::byte> data;
};
Result<Event> NextEvent(fid_eq* eq, Clock& clock, Deadline deadline);

// Memory that the provider may want registered before it is sent from or received into.
class Buffer {
 public:
  static Result<std::unique_ptr<Buffer>> Make(fid_domain* domain, const fi_info* info,
                                              std::span<std::byte> memory, uint64_t access);
  void* descriptor() const { return mr_ == nullptr ? nullptr : fi_mr_desc(mr_.get()); }

 private:
  Owned<fid_mr> mr_;
};

// A connected endpoint with its own protection domain and completion queue; endpoints of different
// peers share nothing (invariant 22).
class Endpoint {
 public:
  // `connection`: what fi_getinfo or a connection request gave; it loses its handle to the
  // endpoint.
  static Result<std::unique_ptr<Endpoint>> Open(fi_info* connection);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  ~Endpoint() = default;

  // Ends the connection at once: nothing is sent or placed any more. Idempotent.
  void CloseEp() { ep_.reset(); }

  const fi_info* info() const { return info_.get(); }
  fid_fabric* fabric() const { return fabric_.get(); }
  fid_domain* domain() const { return domain_.get(); }
  fid_cq* cq() const { return cq_.get(); }
  fid_eq* eq() const { return eq_.get(); }
  fid_ep* ep() const { return ep_.get(); }
  int cq_fd() const { return cq_fd_; }
  int eq_fd() const { return eq_fd_; }

 private:
  Endpoint() = default;

  int cq_fd_ = -1;
  int eq_fd_ = -1;
  Info info_;  // destroyed last: the endpoint first, then what it was bound to
  Owned<fid_fabric> fabric_;
  Owned<fid_eq> eq_;
  Owned<fid_domain> domain_;
  Owned<fid_cq> cq_;
  Owned<fid_ep> ep_;
};

}  // namespace mirdax::fabric
