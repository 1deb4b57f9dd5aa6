#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "storage/result.hpp"

namespace ds::fabric {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Reads a numeric IPv4 or IPv6 address; never asks a name server.
Result<SocketAddress> to_socket_address(const std::string& host, std::uint16_t port);
std::uint16_t port_of(const sockaddr_storage& address);
std::string host_of(const sockaddr_storage& address);

/// The network device that has `address`; empty when none has it.
std::string device_of(const SocketAddress& address);

}  // namespace ds::fabric
