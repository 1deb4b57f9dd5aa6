#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "actors/gateway/http_server.hpp"

namespace ds::gateway::testing {

/// Answers every request with `METHOD path body`.
inline void answer_echo(const HttpRequest& request, const Respond& respond) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = request.method + " " + request.path + " " + request.body;
  respond(std::move(response));
}

inline std::unique_ptr<HttpServer> start_server(Handler handler = answer_echo,
                                                const HttpServerOptions& options = {}) {
  auto server = HttpServer::start(options, std::move(handler));
  if (!server) {
    ADD_FAILURE() << server.error().message;
    return nullptr;
  }
  return std::move(*server);
}

}  // namespace ds::gateway::testing
