#pragma once

#include <map>
#include <string>
#include <string_view>

#include "storage/result.hpp"

namespace ds::gateway {

/// What a request line asks for.
struct RequestTarget {
  std::string path;  ///< percent-decoded, begins with `/`
  std::map<std::string, std::string> query;
};

/// Takes `/path?key=value&flag` or `http://host/path` apart. Pure.
///
/// `+` means a space in the query, not in the path. Refused as `invalid_argument`: another form, a broken or
/// zero escape (`%zz`, `%00`), a query key given twice (which of the two holds would depend on who reads it).
Result<RequestTarget> parse_request_target(std::string_view target);

}  // namespace ds::gateway
