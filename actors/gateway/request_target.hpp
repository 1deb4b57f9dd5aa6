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

/// Without `http://host`, which proxies send; at least `/` then. Pure.
std::string_view to_origin_form(std::string_view target);

/// Whether the target is the path itself, or below it; not of an empty one. Pure.
bool is_below(std::string_view target, std::string_view path);

/// The target of the request that `bytes` begin with, though its line may be wrong or cut off; empty: there
/// is none. Pure.
std::string_view target_in(std::string_view bytes);

}  // namespace ds::gateway
