#include "actors/router/endpoint_state.hpp"

#include <algorithm>

namespace ds::router {
namespace {

constexpr std::size_t kMostLatencies = 512;  // that a percentile is taken of
constexpr std::chrono::seconds kLatencyWindow{5};

}  // namespace

std::vector<serving::ReplicaView> EndpointState::views() const {
  std::vector<serving::ReplicaView> all;
  for (const auto& [worker, replica] : replicas)
    all.push_back({worker, endpoint.version, replica.outstanding, !replica.is_lost, replica.is_draining});
  return all;
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
  while (!latencies_ms.empty() && now - latencies_ms.front().first > kLatencyWindow) latencies_ms.pop_front();
  if (latencies_ms.empty()) return 0;
  std::vector<double> sorted;
  for (const auto& [at, ms] : latencies_ms) sorted.push_back(ms);
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) * 99 / 100);
  std::nth_element(sorted.begin(), place, sorted.end());
  return *place;
}

void EndpointState::note_latency(std::chrono::steady_clock::time_point now, double ms) {
  latencies_ms.emplace_back(now, ms);
  if (latencies_ms.size() > kMostLatencies) latencies_ms.pop_front();
}

}  // namespace ds::router
