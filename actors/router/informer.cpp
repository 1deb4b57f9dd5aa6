#include "actors/router/informer.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/router/failure_response.hpp"
#include "actors/serving/metrics_text.hpp"
#include "actors/serving/route_bodies.hpp"

namespace ds::router {
namespace {

using gateway::HttpResponse;

constexpr std::array<std::string_view, 6> kExtensions{"binary_tensor_data",  "model_repository",
                                                      "model_configuration", "statistics",
                                                      "schedule_policy",     "classification"};

HttpResponse json(std::string body) {
  return {200, std::move(body), "application/json", {}};
}

serving::ModelConfiguration configuration_of(const EndpointView& endpoint, std::uint32_t replicas) {
  const serving::BatchingOptions& batching = endpoint.batching;
  serving::ModelConfiguration configuration;
  configuration.replicas = replicas;
  configuration.on_gpu = endpoint.is_on_gpu;
  configuration.has_dynamic_batching =
      batching.mode != serving::BatchingOptions::Mode::off && batching.max_size > 1;
  if (batching.mode != serving::BatchingOptions::Mode::fixed) return configuration;
  configuration.preferred_batch_sizes = {batching.max_size};
  configuration.max_queue_delay_us =
      static_cast<std::uint64_t>(std::max<std::int64_t>(batching.max_delay_us, 0));
  return configuration;
}

/// Whether requests for the version are taken, and what is to be said of it.
std::pair<bool, std::string> state_of(const EndpointView& endpoint, const EndpointView::Version& version) {
  if (version.ready > 0) return {true, ""};
  if (version.share == 0) return {false, "its replicas leave"};
  if (endpoint.sleeps()) return {true, "it sleeps: the next request starts a replica"};
  return {false, endpoint.held.empty() ? "no replica is ready yet" : endpoint.held};
}

}  // namespace

std::optional<EndpointView> Informer::find(const serving::ModelName& model) const {
  auto endpoint = router_.find(model.name);
  const bool is_known = endpoint && (!model.version || endpoint->find(*model.version) != nullptr);
  return is_known ? endpoint : std::nullopt;
}

template <class Body>
HttpResponse Informer::of_model(const serving::ModelName& model, Body body) const {
  const auto endpoint = find(model);
  if (!endpoint) return failure_response(unknown(model.name));
  const auto* metadata = endpoint->metadata_of(model.version);
  if (metadata == nullptr) {
    return failure_response(
        Failure{{ErrorCode::unavailable, "no replica of the model has been ready yet", {}}});
  }
  serving::ModelMetadata shown = *metadata;
  shown.versions.clear();
  for (const auto& [version, there] : endpoint->versions) shown.versions.push_back(version);
  return json(body(shown, *endpoint));
}

HttpResponse Informer::operator()(const serving::route::ServerMetadata&) const {
  return json(serving::server_metadata_body(version_, kExtensions));
}

HttpResponse Informer::operator()(const serving::route::ServerLive&) const {
  return json(serving::live_body(true));
}

HttpResponse Informer::operator()(const serving::route::ServerReady&) const {
  return json(serving::ready_body(true));
}

HttpResponse Informer::operator()(const serving::route::ModelReady& asked) const {
  const auto endpoint = find(asked.model);
  if (!endpoint) return failure_response(unknown(asked.model.name));
  const bool is_ready = asked.model.version ? state_of(*endpoint, *endpoint->find(*asked.model.version)).first
                                            : endpoint->ready > 0 || endpoint->sleeps();
  auto response = json(serving::model_ready_body(asked.model.name, is_ready));
  if (!is_ready) response.status = 400;
  return response;
}

HttpResponse Informer::operator()(const serving::route::ModelMetadata& asked) const {
  return of_model(asked.model, [](const serving::ModelMetadata& model, const EndpointView&) {
    return serving::model_metadata_body(model);
  });
}

HttpResponse Informer::operator()(const serving::route::ModelConfig& asked) const {
  return of_model(asked.model, [&asked](const serving::ModelMetadata& model, const EndpointView& endpoint) {
    const auto replicas = asked.model.version ? endpoint.find(*asked.model.version)->ready : endpoint.ready;
    return serving::model_config_body(model, configuration_of(endpoint, replicas));
  });
}

HttpResponse Informer::operator()(const serving::route::Statistics& asked) const {
  if (asked.model && !find(*asked.model)) return failure_response(unknown(asked.model->name));
  const auto known = router_.statistics();
  std::vector<serving::NamedStatistics> models;
  for (const EndpointView& endpoint : router_.endpoints()) {
    if (asked.model && asked.model->name != endpoint.name) continue;
    const auto found = known.find(endpoint.name);
    if (found == known.end()) continue;
    for (const auto& [version, counted] : found->second) {
      if (asked.model && asked.model->version.value_or(version) != version) continue;
      models.push_back({endpoint.name, version, counted.model});
    }
  }
  return json(serving::statistics_body(models));
}

HttpResponse Informer::operator()(const serving::route::RepositoryIndex& asked) const {
  std::vector<serving::IndexEntry> entries;
  for (const EndpointView& endpoint : router_.endpoints()) {
    for (const auto& [version, shown] : endpoint.versions) {
      const auto [is_ready, reason] = state_of(endpoint, shown);
      if (is_ready || !asked.only_ready) entries.push_back({endpoint.name, version, is_ready, reason});
    }
  }
  return json(serving::repository_index_body(entries));
}

HttpResponse Informer::operator()(const serving::route::Metrics&) const {
  auto known = router_.statistics();
  std::vector<serving::ModelMetrics> models;
  for (const EndpointView& endpoint : router_.endpoints()) {
    for (auto& [version, counted] : known[endpoint.name]) {
      const auto* shown = endpoint.find(version);
      const EndpointView::Version there = shown == nullptr ? EndpointView::Version{} : *shown;
      const auto starting = there.wanted - std::min(there.wanted, there.ready);
      models.push_back({endpoint.name, version, there.ready, starting, there.draining, endpoint.ongoing,
                        std::move(counted)});
    }
  }
  return {200, serving::metrics_text(models), "text/plain; version=0.0.4; charset=utf-8", {}};
}

HttpResponse Informer::not_told_apart() {
  return failure_response(Error{ErrorCode::internal, "the route was not told apart", {}});
}

}  // namespace ds::router
