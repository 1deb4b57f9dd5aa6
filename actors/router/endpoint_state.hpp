#pragma once

// Private to actors/router: what its actor keeps of an endpoint.

#include <caf/actor.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <utility>
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
  std::vector<std::uint64_t> tried;  ///< and not to be asked again
  std::uint32_t tries = 0;           ///< also of those that may be
  std::optional<Failure> last;       ///< what the last of them said
  std::uint64_t call = 0, at = 0;    ///< the last `InferCall`, and to which worker; 0: none
};
using JourneyPtr = std::shared_ptr<Journey>;

struct ReplicaEntry {
  caf::actor actor;
  std::uint32_t outstanding = 0;
  bool is_draining = false;
  bool is_lost = false;  ///< a request to it failed: it is dead, or says hello again
};

struct EndpointState {
  Endpoint endpoint;
  std::optional<serving::ModelMetadata> metadata;
  std::map<std::uint64_t, ReplicaEntry> replicas;
  std::deque<JourneyPtr> waiting;  ///< for a replica
  std::uint64_t waiting_bytes = 0;
  std::uint32_t wanted = 0;                  ///< replicas
  std::uint64_t ongoing = 0;                 ///< asked and not answered
  std::uint64_t arrivals = 0, answered = 0;  ///< since the last report
  std::deque<std::pair<std::chrono::steady_clock::time_point, double>>
      latencies_ms;  ///< when it was answered

  std::vector<serving::ReplicaView> views() const;
  std::uint32_t ready() const;  ///< replicas that take requests
  std::uint32_t draining() const;
  /// The 99th percentile of the last seconds' answers; 0: there are none.
  double p99_ms(std::chrono::steady_clock::time_point now);
  void note_latency(std::chrono::steady_clock::time_point now, double ms);
};

}  // namespace ds::router
