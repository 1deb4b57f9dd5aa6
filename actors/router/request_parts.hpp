#pragma once

// Private to actors/router: what is taken out of a request.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "actors/fabric/buffer.hpp"
#include "actors/gateway/http_server.hpp"
#include "storage/result.hpp"

namespace ds::router {

/// Empty: there is none. Valid as long as the request.
std::string_view header_of(const gateway::HttpRequest& request, std::string_view name);
/// What it says of whose it is.
std::string_view tenant_in(const gateway::HttpRequest& request);
/// Without copying it.
Buffer to_buffer(std::string text);
/// The body, unpacked; taken out of the request where it isn't packed. Errors: see `body_status`.
Result<Buffer> plain_body(gateway::HttpRequest& request, std::size_t limit);
/// For the error of a body that can't be read.
int body_status(ErrorCode code);
/// A body that has no tensors. None: it is too large or wrongly packed, which has been said.
std::optional<Buffer> control_body(gateway::HttpRequest& request, const gateway::Respond& respond);

}  // namespace ds::router
