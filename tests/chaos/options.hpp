#pragma once

#include "actors/fabric/transport.hpp"

namespace ds::chaos {

/// Shortened, so that many losses fit into a minute. A process that stood still for less than half of the
/// time-out must not be lost.
inline fabric::TransportOptions chaos_options(std::uint16_t port) {
  fabric::TransportOptions options;
  options.port = port;
  options.secret = "chaos";
  options.heartbeat_interval = std::chrono::milliseconds(200);
  options.heartbeat_timeout = std::chrono::milliseconds(2000);
  options.handshake_timeout = std::chrono::milliseconds(2000);
  return options;
}

}  // namespace ds::chaos
