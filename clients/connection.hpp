#pragma once

#include <cstdint>
#include <string>

namespace ds::clients {

/// Where the head is, and how we came to know.
struct HeadAddress {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
  bool local = false;        ///< of the cluster that `ds-submit up` started
  std::string text() const;  ///< `HOST:PORT`
};

/// Takes `HOST:PORT`, `[::1]:PORT` or `http://HOST:PORT/` apart. `source` names where it was given, for the
/// error.
HeadAddress parse_head_address(const std::string& text, const std::string& source);

/// `given` (the option `--head`) if not empty, else DS_HEAD, else the local cluster's. Throws `Failure` with
/// `no_server` when none is known.
HeadAddress find_head(const std::string& given);

}  // namespace ds::clients
