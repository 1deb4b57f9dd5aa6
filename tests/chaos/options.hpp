#pragma once

#include <chrono>
#include <string>

#include "actors/fabric/transport.hpp"

namespace ds::chaos {

inline constexpr std::chrono::milliseconds kHeartbeatInterval{200};
inline constexpr std::chrono::milliseconds kHeartbeatTimeout{2000};

/// Shortened, so that many losses fit into a minute. A process that stood still for less than half of the
/// time-out must not be lost.
inline fabric::TransportOptions chaos_options(const std::string& host, std::uint16_t port) {
  fabric::TransportOptions options;
  options.host = host;
  options.port = port;
  options.secret = "chaos";
  options.heartbeat_interval = kHeartbeatInterval;
  options.heartbeat_timeout = kHeartbeatTimeout;
  options.handshake_timeout = kHeartbeatTimeout;
  return options;
}

}  // namespace ds::chaos
