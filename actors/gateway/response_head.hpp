#pragma once

#include <string>
#include <string_view>

#include "actors/gateway/http_server.hpp"

namespace ds::gateway {

/// The usual words for a status: `Not Found` for 404; `Unknown` for one that has none here.
std::string_view reason_phrase(int status);

/// Status line and header lines, ended by the empty line.
///
/// `now` is seconds since 1970 for the Date header. Line breaks inside a handler's header values become
/// spaces, so that no value can begin a header of its own. Pure.
std::string format_response_head(const HttpResponse& response, bool keep_alive, std::int64_t now);

/// 1xx, 204 and 304 have no body and no length, whatever the handler put there.
bool status_has_body(int status);

}  // namespace ds::gateway
