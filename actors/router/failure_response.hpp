#pragma once

// Private to actors/router: what clients hear of failures.

#include <cstdint>
#include <exception>
#include <string>

#include "actors/gateway/http_server.hpp"
#include "actors/router/router.hpp"
#include "storage/result.hpp"

namespace ds::router {

/// In the protocol's form; 503 with `Retry-After`. Without a status it is that of the error.
gateway::HttpResponse failure_response(const Failure& failure, int status);
gateway::HttpResponse failure_response(const Failure& failure);
gateway::HttpResponse failure_response(const Error& error);
/// Of what handling a request has thrown.
Error to_error(const std::exception& thrown);

/// Answers take too much memory. `retry_after_ms` 0: nobody knows when clients have read what they have asked
/// for.
Failure no_room(const char* why = "too many answers wait for their clients to read them",
                std::uint32_t retry_after_ms = 0);

/// Its `DS-Tenant` is none of the cluster.
Error no_such_tenant(const gateway::HttpRequest& request);
/// Nothing serves a model of that name.
Error unknown(const std::string& model);

}  // namespace ds::router
