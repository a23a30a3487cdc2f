// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/fabric/fabric_objects.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "fs/base/check.h"

namespace mirdax::fabric {
namespace {

Result<Info> GetInfo(const char* node, const char* service, uint64_t flags, const fi_info* hints) {
  fi_info* info = nullptr;
  const int error = fi_getinfo(kApiVersion, node, service, flags, hints, &info);
  if (error != 0)
    return Fail(FabricError(
        error, fmt::format("no endpoint of fabric provider {}", hints->fabric_attr->prov_name),
        ErrorCode::kInvalid));
  return Info(info);
}

}  // namespace

Error FabricError(ssize_t code, std::string_view what, ErrorCode kind) {
  return Error{kind, fmt::format("{}: {}", what, fi_strerror(static_cast<int>(std::abs(code))))};
}

void LoadProviders() {
  fi_info* info = nullptr;
  // No provider is no error here: who asks for one will hear of it.
  if (fi_getinfo(kApiVersion, nullptr, nullptr, 0, MakeHints("tcp").get(), &info) == 0)
    fi_freeinfo(info);
}

Info MakeHints(const std::string& provider) {
  Info hints(fi_allocinfo());
  MIRDAX_CHECK(hints != nullptr);
  hints->caps = FI_MSG | FI_RMA | FI_SEND | FI_RECV | FI_WRITE | FI_REMOTE_WRITE;
  hints->ep_attr->type = FI_EP_MSG;
  hints->domain_attr->mr_mode =
      FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_ENDPOINT;
  hints->domain_attr->threading = FI_THREAD_SAFE;
  hints->fabric_attr->prov_name = strdup(provider.c_str());
  return hints;
}

Result<Info> InfoForListening(const std::string& provider, const std::string& host) {
  if (provider == "auto") {
    auto verbs = GetInfo(host.c_str(), "0", FI_SOURCE, MakeHints("verbs").get());
    if (verbs) return verbs;
    return InfoForListening("tcp", host);
  }
  return GetInfo(host.c_str(), "0", FI_SOURCE, MakeHints(provider).get());
}

Result<Info> InfoForConnecting(const DataEndpoint& endpoint) {
  const Info hints = MakeHints(endpoint.provider);
  sa_family_t family = AF_UNSPEC;
  if (endpoint.address.size() >= sizeof(sockaddr_in))
    std::memcpy(&family, endpoint.address.data(), sizeof(family));
  if (!(family == AF_INET && endpoint.address.size() == sizeof(sockaddr_in)) &&
      !(family == AF_INET6 && endpoint.address.size() == sizeof(sockaddr_in6)))
    return Fail(ErrorCode::kCorrupt, "the mirror announced a malformed data address");
  hints->addr_format = family == AF_INET ? FI_SOCKADDR_IN : FI_SOCKADDR_IN6;
  hints->dest_addr = std::malloc(endpoint.address.size());  // fi_freeinfo frees it
  MIRDAX_CHECK(hints->dest_addr != nullptr);
  std::memcpy(hints->dest_addr, endpoint.address.data(), endpoint.address.size());
  hints->dest_addrlen = endpoint.address.size();
  return GetInfo(nullptr, nullptr, 0, hints.get());
}

Result<Event> NextEvent(fid_eq* eq, Clock& clock, Deadline deadline) {
  // An fi_eq_cm_entry, which ends in a flexible array: the peer's private data.
  constexpr size_t kHead = sizeof(fi_eq_cm_entry);
  alignas(fi_eq_cm_entry) std::array<std::byte, kHead + 256> buffer{};
  Event event;
  event.data.reserve(buffer.size() - kHead);  // a request that was read must not be lost
  for (;;) {
    const int left = MillisecondsLeft(clock, deadline);
    const ssize_t count =
        fi_eq_sread(eq, &event.type, buffer.data(), buffer.size(), std::min(left, 50), 0);
    if (count >= static_cast<ssize_t>(kHead)) {
      const auto* entry = reinterpret_cast<const fi_eq_cm_entry*>(buffer.data());
      event.info.reset(event.type == FI_CONNREQ ? entry->info : nullptr);
      event.data.assign(buffer.begin() + kHead, buffer.begin() + count);
      return event;
    }
    if (count == -FI_EAVAIL) {
      fi_eq_err_entry error{};
      fi_eq_readerr(eq, &error, 0);
      return Fail(FabricError(error.err, "data connection"));
    }
    if (count < 0 && count != -FI_EAGAIN && count != -FI_ETIMEDOUT && count != -FI_EINTR)
      return Fail(FabricError(count, "event queue", ErrorCode::kIo));
    if (left == 0) return Fail(ErrorCode::kTimedOut, "no data connection in time");
  }
}

void WaitForQueues(std::span<const WaitEntry> entries, int stop_fd, Clock& clock,
                   Deadline deadline) {
  constexpr size_t kMaxEntries = 2 * kMaxMirrors;
  MIRDAX_CHECK(entries.size() <= kMaxEntries);
  std::array<pollfd, kMaxEntries + 1> fds{};
  size_t count = 0;
  for (const WaitEntry& entry : entries) {
    fid* queue = entry.queue;
    if (fi_trywait(entry.fabric, &queue, 1) != FI_SUCCESS) return;  // it has something already
    fds[count++] = {entry.fd, POLLIN, 0};
  }
  if (stop_fd >= 0) fds[count++] = {stop_fd, POLLIN, 0};
  poll(fds.data(), count, MillisecondsLeft(clock, deadline));
}

Result<std::unique_ptr<Buffer>> Buffer::Make(fid_domain* domain, const fi_info* info,
                                             std::span<std::byte> memory, uint64_t access) {
  auto buffer = std::make_unique<Buffer>();
  if ((info->domain_attr->mr_mode & FI_MR_LOCAL) == 0) return buffer;
  fid_mr* mr = nullptr;
  const int error = fi_mr_reg(domain, memory.data(), memory.size(), access, 0, 0, 0, &mr, nullptr);
  if (error != 0) return Fail(FabricError(error, "registering memory", ErrorCode::kNoMemory));
  buffer->mr_.reset(mr);
  return buffer;
}

Result<std::unique_ptr<Endpoint>> Endpoint::Open(fi_info* connection) {
  std::unique_ptr<Endpoint> self(new Endpoint());
  self->info_.reset(fi_dupinfo(connection));
  fi_info* info = self->info_.get();
  fid_fabric* fabric = nullptr;
  int error = fi_fabric(info->fabric_attr, &fabric, nullptr);
  if (error != 0) return Fail(FabricError(error, "fi_fabric"));
  self->fabric_.reset(fabric);
  fi_eq_attr eq_attr{};
  eq_attr.wait_obj = FI_WAIT_FD;
  fid_eq* eq = nullptr;
  if ((error = fi_eq_open(fabric, &eq_attr, &eq, nullptr)) != 0)
    return Fail(FabricError(error, "fi_eq_open"));
  self->eq_.reset(eq);
  fid_domain* domain = nullptr;
  if ((error = fi_domain(fabric, info, &domain, nullptr)) != 0)
    return Fail(FabricError(error, "fi_domain"));
  self->domain_.reset(domain);
  fi_cq_attr cq_attr{};
  cq_attr.size = info->tx_attr->size + info->rx_attr->size;
  cq_attr.format = FI_CQ_FORMAT_MSG;
  cq_attr.wait_obj = FI_WAIT_FD;
  fid_cq* cq = nullptr;
  if ((error = fi_cq_open(domain, &cq_attr, &cq, nullptr)) != 0)
    return Fail(FabricError(error, "fi_cq_open"));
  self->cq_.reset(cq);
  fid_ep* ep = nullptr;
  if ((error = fi_endpoint(domain, info, &ep, nullptr)) != 0)
    return Fail(FabricError(error, "fi_endpoint"));
  self->ep_.reset(ep);
  connection->handle = nullptr;  // the endpoint has it
  if ((error = fi_ep_bind(ep, &eq->fid, 0)) != 0 ||
      (error = fi_ep_bind(ep, &cq->fid, FI_TRANSMIT | FI_RECV)) != 0 ||
      (error = fi_enable(ep)) != 0)
    return Fail(FabricError(error, "enabling an endpoint"));
  if (fi_control(&cq->fid, FI_GETWAIT, &self->cq_fd_) != 0 ||
      fi_control(&eq->fid, FI_GETWAIT, &self->eq_fd_) != 0)
    return Fail(ErrorCode::kNotSupported, "fabric provider {} has no file descriptor to wait on",
                info->fabric_attr->prov_name);
  return self;
}

}  // namespace mirdax::fabric
