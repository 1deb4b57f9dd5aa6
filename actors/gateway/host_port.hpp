#pragma once

#include <cstdint>
#include <string>

#include "storage/result.hpp"

namespace ds::gateway {

struct HostPort {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
};

/// Takes `HOST:PORT` or `[::1]:PORT` apart; `localhost` becomes 127.0.0.1. Port 0 is a port here: whoever
/// listens there gets a free one. `invalid_argument` says what is wrong with `text`. Pure.
Result<HostPort> parse_host_port(const std::string& text);

}  // namespace ds::gateway
