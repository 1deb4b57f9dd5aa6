#pragma once

#include <string_view>

#include "actors/gateway/http_server.hpp"

namespace ds::gateway {

/// The body that every failed request gets: `{"error":{"code","message","hint"}}`.
///
/// `code` is one of the words of `clients/openapi.yaml` (`not_found`, `invalid_job`, …). Bytes of `message`
/// and `hint` that are not UTF-8 are replaced, so that the body is always valid JSON.
HttpResponse error_response(int status, std::string_view code, std::string_view message,
                            std::string_view hint = {});

}  // namespace ds::gateway
