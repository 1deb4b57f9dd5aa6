#pragma once

// Private to actors/router: routes that need no replica.

#include <optional>
#include <string>

#include "actors/gateway/http_server.hpp"
#include "actors/router/router.hpp"
#include "actors/serving/routes.hpp"

namespace ds::router {

/// Answers what needs no replica, from what the router knows at the moment. Any thread.
class Informer {
 public:
  Informer(const Router& router, const std::string& version) : router_(router), version_(version) {}

  gateway::HttpResponse operator()(const serving::route::ServerMetadata&) const;
  gateway::HttpResponse operator()(const serving::route::ServerLive&) const;
  /// Always, when it can be asked: the head listens once it has taken its state back, and knows all models
  /// then.
  gateway::HttpResponse operator()(const serving::route::ServerReady&) const;
  gateway::HttpResponse operator()(const serving::route::ModelReady& asked) const;
  gateway::HttpResponse operator()(const serving::route::ModelMetadata& asked) const;
  gateway::HttpResponse operator()(const serving::route::ModelConfig& asked) const;
  gateway::HttpResponse operator()(const serving::route::Statistics& asked) const;
  gateway::HttpResponse operator()(const serving::route::RepositoryIndex& asked) const;
  gateway::HttpResponse operator()(const serving::route::Metrics&) const;
  /// All others are not for it.
  template <class Other>
  gateway::HttpResponse operator()(const Other&) const {
    return not_told_apart();
  }

 private:
  static gateway::HttpResponse not_told_apart();
  std::optional<EndpointView> find(const serving::ModelName& model) const;
  template <class Body>
  gateway::HttpResponse of_model(const serving::ModelName& model, Body body) const;

  const Router& router_;
  const std::string& version_;
};

}  // namespace ds::router
