#include "actors/gateway/host_port.hpp"

#include <fmt/format.h>

#include <charconv>

namespace ds::gateway {

Result<HostPort> parse_host_port(const std::string& text) {
  const auto colon = text.rfind(':');
  HostPort parsed;
  if (colon != std::string::npos) {
    parsed.host = text.substr(0, colon);
    if (parsed.host.size() > 2 && parsed.host.front() == '[' && parsed.host.back() == ']') {
      parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
    }
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, parsed.port);
    const bool clean = !parsed.host.empty() && parsed.host.find_first_of("/@[] \t\r\n") == std::string::npos;
    if (error == std::errc() && stopped == end && clean) {
      if (parsed.host == "localhost") parsed.host = "127.0.0.1";
      return parsed;
    }
  }
  return fail(ErrorCode::invalid_argument, fmt::format("expected HOST:PORT, got \"{}\"", text),
              "for example 127.0.0.1:8080");
}

}  // namespace ds::gateway
