// SPDX-License-Identifier: BSD-2-Clause
// "host:port" as people write it.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "fs/base/result.h"

namespace mirdax {

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
  std::string ToString() const;  // brackets around IPv6
};

// "host:port" or "[v6]:port". kInvalid says what is wrong with it.
Result<HostPort> ParseAddress(std::string_view text);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};
// The first address of the host. kInvalid when it has none.
Result<SocketAddress> Resolve(const HostPort& address);
HostPort ToHostPort(const SocketAddress& address);

}  // namespace mirdax
