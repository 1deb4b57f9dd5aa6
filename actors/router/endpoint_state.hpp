#pragma once

// Private to actors/router: what its actor keeps of an endpoint.

#include <caf/actor.hpp>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "actors/router/router.hpp"
#include "actors/serving/pick_replica.hpp"

namespace ds::router {

/// A request and what has been tried.
struct Journey {
  Ask ask;
  std::chrono::steady_clock::time_point deadline;
  std::string job;  ///< whose endpoint it is for
  std::uint64_t version = 0;
  std::uint32_t rows = 0;  ///< 0: not checked against the model yet
  std::uint64_t bytes = 0;
  std::vector<std::uint64_t> tried;
  std::optional<Failure> last;  ///< what the last of them said
};
using JourneyPtr = std::shared_ptr<Journey>;

struct ReplicaEntry {
  caf::actor actor;
  std::uint32_t outstanding = 0;
  bool is_draining = false;
};

struct EndpointState {
  Endpoint endpoint;
  std::optional<serving::ModelMetadata> metadata;
  std::map<std::uint64_t, ReplicaEntry> replicas;
  std::deque<JourneyPtr> waiting;  ///< for a replica
  std::uint64_t waiting_bytes = 0;
  std::uint64_t ongoing = 0;                 ///< asked and not answered
  std::uint64_t arrivals = 0, answered = 0;  ///< since the last report
  std::vector<double> latencies_ms;          ///< of the last answers, a ring
  std::size_t next_latency = 0;

  std::vector<serving::ReplicaView> views() const;
  /// The 99th percentile of `latencies_ms`; 0: there are none.
  double p99_ms() const;
  void note_latency(double ms);
};

}  // namespace ds::router
