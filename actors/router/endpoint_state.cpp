#include "actors/router/endpoint_state.hpp"

#include <algorithm>

namespace ds::router {
namespace {

constexpr std::size_t kMostLatencies = 512;  // that a percentile is taken of
constexpr std::chrono::seconds kLatencyWindow{5};
constexpr double kLeastRateSeconds = 1;  // a few answers in a moment are no rate yet

}  // namespace

std::map<std::uint64_t, std::uint32_t> EndpointState::count_able(
    const std::vector<std::uint64_t>& tried) const {
  std::map<std::uint64_t, std::uint32_t> able;
  for (const auto& [worker, replica] : replicas) {
    const bool was_tried = std::ranges::find(tried, worker) != tried.end();
    if (!replica.is_lost && !replica.is_draining && !was_tried) ++able[replica.version];
  }
  return able;
}

std::optional<EndpointState::Picked> EndpointState::pick(const Journey& journey, std::uint64_t random) {
  if (replicas.empty()) return std::nullopt;
  std::vector<serving::ReplicaView> views;
  views.reserve(replicas.size());
  auto version = journey.ask.version;
  bool is_mixed = false;
  for (const auto& [worker, replica] : replicas) {
    views.push_back({worker, replica.version, replica.outstanding, !replica.is_lost, replica.is_draining});
    is_mixed |= replica.version != views.front().version;
  }
  if (!version && !is_mixed) version = views.front().version;
  if (!version) version = picker.pick(count_able(journey.tried));
  if (!version) return std::nullopt;
  const auto worker = serving::pick_replica(views, *version, journey.tried, random);
  return worker ? std::optional(Picked{*worker, *version}) : std::nullopt;
}

std::uint64_t EndpointState::first_version() const {
  return picker.lines().empty() ? 1 : picker.lines().front().version;
}

const serving::ModelMetadata* EndpointState::metadata_of(std::uint64_t version) const {
  const auto found = metadata.find(version);
  return found == metadata.end() ? nullptr : &found->second;
}

bool EndpointState::has_version(std::uint64_t version) const {
  const bool is_wanted =
      std::ranges::find(picker.lines(), version, &serving::VersionLine::version) != picker.lines().end();
  return is_wanted || std::ranges::any_of(
                          replicas, [version](const auto& entry) { return entry.second.version == version; });
}

void EndpointState::forget_versions() {
  std::erase_if(metadata, [this](const auto& entry) { return !has_version(entry.first); });
}

EndpointView EndpointState::view() const {
  EndpointView view;
  view.name = endpoint.name;
  view.job = endpoint.job;
  view.version = first_version();
  view.ready = ready();
  view.draining = draining();
  view.wanted = wanted;
  view.ongoing = ongoing;
  view.held = held;
  view.batching = endpoint.batching;
  view.is_on_gpu = endpoint.is_on_gpu;
  view.answers_per_second = answers_per_second;
  view.timeout = endpoint.timeout;
  for (const auto& line : picker.lines()) {
    auto& shown = view.versions[line.version];
    shown.share += line.share;
    shown.wanted = picker.lines().size() == 1 ? wanted : line.replicas;
  }
  for (const auto& [worker, replica] : replicas) {
    auto& shown = view.versions[replica.version];
    shown.draining += replica.is_draining ? 1 : 0;
    shown.ready += replica.is_draining || replica.is_lost ? 0 : 1;
  }
  for (auto& [version, shown] : view.versions) {
    if (const auto* known = metadata_of(version)) shown.metadata = *known;
  }
  return view;
}

std::uint32_t EndpointState::ready() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      replicas, [](const auto& entry) { return !entry.second.is_draining && !entry.second.is_lost; }));
}

std::uint32_t EndpointState::draining() const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(replicas, [](const auto& entry) { return entry.second.is_draining; }));
}

double EndpointState::p99_ms(std::chrono::steady_clock::time_point now) {
  forget_old_latencies(now);
  if (latencies_ms.empty()) return 0;
  std::vector<double> sorted;
  for (const auto& [at, ms] : latencies_ms) sorted.push_back(ms);
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) * 99 / 100);
  std::nth_element(sorted.begin(), place, sorted.end());
  return *place;
}

void EndpointState::forget_old_latencies(std::chrono::steady_clock::time_point now) {
  while (!latencies_ms.empty() && now - latencies_ms.front().first > kLatencyWindow) latencies_ms.pop_front();
}

double EndpointState::answer_rate(std::chrono::steady_clock::time_point now) {
  forget_old_latencies(now);
  if (latencies_ms.empty()) return 0;
  const std::chrono::duration<double> since = now - latencies_ms.front().first;
  // Where those of the last second don't all have room, what has is enough to go by.
  const double least_s = latencies_ms.size() < kMostLatencies ? kLeastRateSeconds : 1e-3;
  return static_cast<double>(latencies_ms.size()) / std::max(since.count(), least_s);
}

void EndpointState::note_latency(std::chrono::steady_clock::time_point now, double ms) {
  latencies_ms.emplace_back(now, ms);
  if (latencies_ms.size() > kMostLatencies) latencies_ms.pop_front();
}

}  // namespace ds::router
