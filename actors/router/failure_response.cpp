#include "actors/router/failure_response.hpp"

#include <fmt/format.h>

#include "actors/router/inference_api.hpp"
#include "actors/router/request_parts.hpp"
#include "actors/serving/retry_after.hpp"
#include "actors/serving/route_bodies.hpp"

namespace ds::router {

using gateway::HttpRequest;
using gateway::HttpResponse;

HttpResponse failure_response(const Failure& failure, int status) {
  HttpResponse response{status, serving::error_body(failure.error), "application/json", {}};
  if (status == 503) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string(serving::retry_after_seconds(failure.retry_after_ms)));
  }
  return response;
}

HttpResponse failure_response(const Failure& failure) {
  return failure_response(failure, serving::http_status(failure.error.code));
}

HttpResponse failure_response(const Error& error) {
  return failure_response(Failure{error});
}

Error to_error(const std::exception& thrown) {
  return {ErrorCode::internal, fmt::format("the request could not be handled: {}", thrown.what()), {}};
}

Failure no_room(const char* why, std::uint32_t retry_after_ms) {
  return {{ErrorCode::resource_exhausted, why, {}}, retry_after_ms};
}

Error no_such_tenant(const HttpRequest& request) {
  return {ErrorCode::invalid_argument,
          fmt::format("{} names no tenant of this cluster: '{}'", InferenceApi::kTenantHeader,
                      tenant_in(request)),
          "ds-submit tenants lists them"};
}

Error unknown(const std::string& model) {
  return {ErrorCode::not_found, fmt::format("Request for unknown model: '{}' is not found", model), {}};
}

}  // namespace ds::router
