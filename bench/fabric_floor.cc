// SPDX-License-Identifier: BSD-2-Clause
// fabric_floor [PROVIDER [COUNT [SPIN_US]]]: the time of one round trip over libfabric, with
// nothing of ours in it: a 4 KiB RDMA write and a 64-byte message, answered by a 64-byte message,
// between two processes on this machine. Prints one line of JSON.
//
// Both ends poll for SPIN_US (default 20), then block. On two cores the answer comes in one spin or
// only after two wake-ups, which cost several times as much: bench/run tries more than one length.
#include <netinet/in.h>
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kWriteBytes = 4096;
constexpr size_t kMessageBytes = 64;
constexpr int kTimeoutMs = 10000;
constexpr uint32_t kApi = FI_VERSION(1, 17);

std::chrono::microseconds spin{20};  // set once, before the ends part

void Check(ssize_t result, const char* what) {
  if (result >= 0) return;
  std::fprintf(stderr, "fabric_floor: %s: %s\n", what, fi_strerror(static_cast<int>(-result)));
  std::exit(1);
}

struct Target {  // what the passive side tells the active one, through a pipe
  sockaddr_in address;
  uint64_t base;
  uint64_t key;
};

fi_info* Hints(const char* provider) {
  fi_info* const hints = fi_allocinfo();
  hints->ep_attr->type = FI_EP_MSG;
  hints->caps = FI_MSG | FI_RMA;
  hints->addr_format = FI_SOCKADDR_IN;
  hints->fabric_attr->prov_name = strdup(provider);
  hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
  return hints;
}

// One end of the connection. Threads: one.
class End {
 public:
  explicit End(fi_info* info) : info_(info) {
    Check(fi_fabric(info->fabric_attr, &fabric_, nullptr), "fi_fabric");
    fi_eq_attr attributes{};
    attributes.wait_obj = FI_WAIT_UNSPEC;
    Check(fi_eq_open(fabric_, &attributes, &events_, nullptr), "fi_eq_open");
  }

  sockaddr_in Listen() {
    fid_pep* passive = nullptr;
    Check(fi_passive_ep(fabric_, info_, &passive, nullptr), "fi_passive_ep");
    Check(fi_pep_bind(passive, &events_->fid, 0), "fi_pep_bind");
    Check(fi_listen(passive), "fi_listen");
    sockaddr_in address{};
    size_t length = sizeof address;
    Check(fi_getname(&passive->fid, &address, &length), "fi_getname");
    return address;
  }

  void Accept() {
    info_ = Await(FI_CONNREQ).info;
    Open();
    Check(fi_accept(endpoint_, nullptr, 0), "fi_accept");
    Await(FI_CONNECTED);
  }
  void Connect() {
    Open();
    Check(fi_connect(endpoint_, info_->dest_addr, nullptr, 0), "fi_connect");
    Await(FI_CONNECTED);
  }

  // Opens domain and endpoint of `info_`; memory is registered with them.
  void Open() {
    Check(fi_domain(fabric_, info_, &domain_, nullptr), "fi_domain");
    Check(fi_endpoint(domain_, info_, &endpoint_, nullptr), "fi_endpoint");
    fi_cq_attr attributes{};
    attributes.format = FI_CQ_FORMAT_MSG;
    attributes.wait_obj = FI_WAIT_UNSPEC;
    Check(fi_cq_open(domain_, &attributes, &completions_, nullptr), "fi_cq_open");
    Check(fi_ep_bind(endpoint_, &events_->fid, 0), "fi_ep_bind");
    Check(fi_ep_bind(endpoint_, &completions_->fid, FI_TRANSMIT | FI_RECV), "fi_ep_bind");
    const uint64_t access = FI_WRITE | FI_REMOTE_WRITE | FI_SEND | FI_RECV;
    Check(fi_mr_reg(domain_, memory_.data(), memory_.size(), access, 0, 1, 0, &registration_,
                    nullptr),
          "fi_mr_reg");
    Check(fi_enable(endpoint_), "fi_enable");
    PostReceive();
  }

  Target target(const sockaddr_in& address) const {
    const bool virtual_addresses = (info_->domain_attr->mr_mode & FI_MR_VIRT_ADDR) != 0;
    return {address, virtual_addresses ? reinterpret_cast<uint64_t>(memory_.data()) : 0,
            fi_mr_key(registration_)};
  }

  void PostReceive() {
    Check(fi_recv(endpoint_, Part(1), kMessageBytes, fi_mr_desc(registration_), 0, nullptr),
          "fi_recv");
  }
  void Write(const Target& to) {
    Check(fi_write(endpoint_, Part(0), kWriteBytes, fi_mr_desc(registration_), 0, to.base, to.key,
                   nullptr),
          "fi_write");
  }
  void Send(size_t bytes = kMessageBytes) {
    Check(fi_send(endpoint_, Part(2), bytes, fi_mr_desc(registration_), 0, nullptr), "fi_send");
  }
  void SendTarget(const Target& target) {
    std::memcpy(Part(2), &target, sizeof target);
    Send();
  }
  Target ReceivedTarget() {
    Target target{};
    std::memcpy(&target, Part(1), sizeof target);
    return target;
  }

  // Until a message has come; completions of what was sent pass by.
  void AwaitMessage() {
    const auto spin_end = SteadyClock::now() + spin;
    while (true) {
      fi_cq_msg_entry entry{};
      ssize_t result = fi_cq_read(completions_, &entry, 1);
      if (result == -FI_EAGAIN) {
        if (SteadyClock::now() < spin_end) continue;
        result = fi_cq_sread(completions_, &entry, 1, nullptr, kTimeoutMs);
        if (result == -FI_EAGAIN || result == -FI_EINTR) continue;
      }
      Check(result, "fi_cq_read");
      if ((entry.flags & FI_RECV) != 0) return;
    }
  }

 private:
  fi_eq_cm_entry Await(uint32_t wanted) {
    uint32_t event = 0;
    fi_eq_cm_entry entry{};
    Check(fi_eq_sread(events_, &event, &entry, sizeof entry, kTimeoutMs, 0), "fi_eq_sread");
    if (event != wanted) Check(-FI_ECONNREFUSED, "connecting");
    return entry;
  }
  std::byte* Part(size_t index) { return memory_.data() + index * kWriteBytes; }

  fi_info* info_;
  fid_fabric* fabric_ = nullptr;
  fid_eq* events_ = nullptr;
  fid_domain* domain_ = nullptr;
  fid_ep* endpoint_ = nullptr;
  fid_cq* completions_ = nullptr;
  fid_mr* registration_ = nullptr;
  std::vector<std::byte> memory_ = std::vector<std::byte>(3 * kWriteBytes);
};

void RunTarget(fi_info* hints, int pipe_fd, int count) {
  fi_info* info = nullptr;
  Check(fi_getinfo(kApi, "127.0.0.1", nullptr, FI_SOURCE, hints, &info), "fi_getinfo");
  End end(info);
  const sockaddr_in address = end.Listen();
  if (write(pipe_fd, &address, sizeof address) != sizeof address) std::exit(1);
  end.Accept();
  end.SendTarget(end.target(address));
  for (int i = 0; i < count; ++i) {
    end.AwaitMessage();
    end.PostReceive();
    end.Send();
  }
  end.AwaitMessage();  // the peer has everything
}

void RunSource(fi_info* hints, int pipe_fd, int count, const char* provider) {
  sockaddr_in address{};
  if (read(pipe_fd, &address, sizeof address) != sizeof address) std::exit(1);
  hints->dest_addr = std::memcpy(std::malloc(sizeof address), &address, sizeof address);
  hints->dest_addrlen = sizeof address;
  fi_info* info = nullptr;
  Check(fi_getinfo(kApi, nullptr, nullptr, 0, hints, &info), "fi_getinfo");
  End end(info);
  end.Connect();
  end.AwaitMessage();
  const Target target = end.ReceivedTarget();
  end.PostReceive();

  std::vector<double> microseconds;
  for (int i = 0; i < count; ++i) {
    const auto start = SteadyClock::now();
    end.Write(target);
    end.Send();
    end.AwaitMessage();
    microseconds.push_back(
        std::chrono::duration<double, std::micro>(SteadyClock::now() - start).count());
    end.PostReceive();
  }
  end.Send();
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double part) {
    return microseconds[static_cast<size_t>(part * static_cast<double>(microseconds.size() - 1))];
  };
  std::printf(
      "{\"name\": \"fabric_round_trip\", \"provider\": \"%s\", \"count\": %d, "
      "\"p50_us\": %.2f, \"p99_us\": %.2f}\n",
      provider, count, at(0.5), at(0.99));
}

}  // namespace

int main(int argc, char** argv) {
  const char* const provider = argc > 1 ? argv[1] : "tcp";
  const int count = argc > 2 ? std::atoi(argv[2]) : 20000;
  if (argc > 3) spin = std::chrono::microseconds(std::atoi(argv[3]));
  if (argc > 4 || count <= 0 || spin.count() < 0) {
    std::fprintf(stderr, "usage: fabric_floor [PROVIDER [COUNT [SPIN_US]]]\n");
    return 2;
  }
  std::array<int, 2> pipe_fds{};
  if (pipe(pipe_fds.data()) != 0) return 1;
  const pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    RunTarget(Hints(provider), pipe_fds[1], count);
    return 0;
  }
  RunSource(Hints(provider), pipe_fds[0], count, provider);
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}
