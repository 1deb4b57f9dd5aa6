#include "clients/connection.hpp"

#include <charconv>
#include <cstdlib>

#include "clients/failure.hpp"
#include "clients/local_home.hpp"

namespace ds::clients {

std::string HeadAddress::text() const {
  const bool bare_v6 = host.find(':') != std::string::npos;
  return (bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

HeadAddress parse_head_address(const std::string& text, const std::string& source) {
  std::string rest = text;
  if (rest.starts_with("https://")) {
    throw Failure(ExitCode::usage, "usage",
                  source + ": this version speaks plain HTTP only, got '" + text + "'", "give HOST:PORT");
  }
  if (rest.starts_with("http://")) rest = rest.substr(7);
  if (rest.ends_with('/')) rest.pop_back();
  HeadAddress address;
  const auto colon = rest.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    address.host = rest.substr(0, colon);
    if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']') {
      address.host = address.host.substr(1, address.host.size() - 2);
    }
    const char* end = rest.data() + rest.size();
    const auto parsed = std::from_chars(rest.data() + colon + 1, end, address.port);
    const bool clean = address.host.find_first_of("/@[] ") == std::string::npos;
    if (parsed.ec == std::errc() && parsed.ptr == end && address.port > 0 && clean) return address;
  }
  throw Failure(ExitCode::usage, "usage", source + ": expected HOST:PORT, got '" + text + "'",
                "for example " + source + (source.starts_with("--") ? " " : "=") + "127.0.0.1:8080");
}

HeadAddress find_head(const std::string& given) {
  if (!given.empty()) return parse_head_address(given, "--head");
  const char* environment = std::getenv("DS_HEAD");
  if (environment != nullptr && *environment != '\0') return parse_head_address(environment, "DS_HEAD");
  const LocalHome home = find_local_home();
  const auto remembered = read_small_file(home.address_file());
  if (!remembered || remembered->empty()) {
    throw Failure(ExitCode::no_server, "no_server", "no cluster to talk to: none is up on this machine",
                  "start one with ds-submit up, or name a head with --head HOST:PORT or DS_HEAD");
  }
  HeadAddress address = parse_head_address(*remembered, home.address_file().string());
  address.local = true;
  return address;
}

}  // namespace ds::clients
