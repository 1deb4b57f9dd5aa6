#include "actors/router/endpoint_state.hpp"

#include <algorithm>

namespace ds::router {
namespace {

constexpr std::size_t kLatencies = 512;  // that a percentile is taken of

}  // namespace

std::vector<serving::ReplicaView> EndpointState::views() const {
  std::vector<serving::ReplicaView> all;
  for (const auto& [worker, replica] : replicas)
    all.push_back({worker, endpoint.version, replica.outstanding, true, replica.is_draining});
  return all;
}

double EndpointState::p99_ms() const {
  if (latencies_ms.empty()) return 0;
  std::vector<double> sorted = latencies_ms;
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) * 99 / 100);
  std::nth_element(sorted.begin(), place, sorted.end());
  return *place;
}

void EndpointState::note_latency(double ms) {
  if (latencies_ms.size() < kLatencies) {
    latencies_ms.push_back(ms);
  } else {
    latencies_ms[next_latency] = ms;
    next_latency = (next_latency + 1) % kLatencies;
  }
}

}  // namespace ds::router
