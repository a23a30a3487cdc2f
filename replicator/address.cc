// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>

namespace mirdax {

std::string HostPort::ToString() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<HostPort> ParseAddress(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalid, "{}: {}; write HOST:PORT or [IPV6]:PORT", text, why);
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets");
  }
  if (host.empty()) return bad("no host");
  HostPort result{std::string(host), 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc() || end != port.data() + port.size())
    return bad("the port is not a number from 0 to 65535");
  return result;
}

Result<SocketAddress> Resolve(const HostPort& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(address.port);
  int error = getaddrinfo(address.host.c_str(), port.c_str(), &hints, &list);
  if (error == EAI_ADDRFAMILY || error == EAI_NONAME || error == EAI_NODATA) {
    hints.ai_flags = AI_NUMERICSERV;  // ::1 on a host with no other IPv6 address
    error = getaddrinfo(address.host.c_str(), port.c_str(), &hints, &list);
  }
  if (error != 0)
    return Fail(ErrorCode::kInvalid, "{}: {}; check the address", address.ToString(),
                gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
  SocketAddress result;
  std::memcpy(&result.storage, list->ai_addr, list->ai_addrlen);
  result.length = list->ai_addrlen;
  return result;
}

HostPort ToHostPort(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> host{};
  HostPort result;
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address.storage), address.length, host.data(),
                  host.size(), nullptr, 0, NI_NUMERICHOST) == 0)
    result.host = host.data();
  if (address.storage.ss_family == AF_INET)
    result.port = ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
  if (address.storage.ss_family == AF_INET6)
    result.port = ntohs(reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port);
  return result;
}

}  // namespace mirdax
