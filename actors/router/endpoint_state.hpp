#pragma once

// Private to actors/router: what its actor keeps of an endpoint.

#include <caf/actor.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "actors/router/journey.hpp"
#include "actors/router/router.hpp"
#include "actors/router/waiting_line.hpp"
#include "actors/serving/pick_replica.hpp"
#include "actors/serving/version_picker.hpp"

namespace ds::router {

struct ReplicaEntry {
  caf::actor actor;
  std::uint64_t version = 1;
  std::uint32_t outstanding = 0;
  bool is_draining = false;
  bool is_lost = false;  ///< a request to it failed: it is dead, or says hello again
};

struct EndpointState {
  Endpoint endpoint;
  std::uint64_t epoch = 0;  ///< a job that is tried again has another, which doesn't count old requests
  serving::VersionPicker picker;
  std::map<std::uint64_t, serving::ModelMetadata> metadata;  ///< by version, of those that are served
  std::map<std::uint64_t, ReplicaEntry> replicas;
  WaitingLine waiting;                       ///< for a replica
  std::uint32_t wanted = 0;                  ///< replicas
  std::string held = {};                     ///< why nobody is to wait for one; empty: it pays to
  std::uint64_t ongoing = 0;                 ///< asked and not answered
  std::uint64_t arrivals = 0, answered = 0;  ///< since the last report
  double answers_per_second = 0;             ///< at the last report
  std::deque<std::pair<std::chrono::steady_clock::time_point, double>>
      latencies_ms;  ///< when it was answered

  struct Picked {
    std::uint64_t worker = 0, version = 0;
  };
  /// A replica for the request, of the version that it asks for, else of one by the shares; none: there is
  /// none that it has not been to.
  std::optional<Picked> pick(const Journey& journey, std::uint64_t random);
  /// Replicas that take requests, without those that were tried, by version.
  std::map<std::uint64_t, std::uint32_t> count_able(const std::vector<std::uint64_t>& tried) const;
  /// The version that is meant where a request names none and nothing is ready.
  std::uint64_t first_version() const;
  /// Null: no replica of it has been ready.
  const serving::ModelMetadata* metadata_of(std::uint64_t version) const;
  /// Whether requests may ask for it: it is to be served, or replicas of it are there.
  bool has_version(std::uint64_t version) const;
  /// Forgets what is known of versions that are gone.
  void forget_versions();
  EndpointView view() const;
  std::uint32_t ready() const;  ///< replicas that take requests
  std::uint32_t draining() const;
  /// The 99th percentile of the last seconds' answers; 0: there are none.
  double p99_ms(std::chrono::steady_clock::time_point now);
  /// Answers a second of late; 0: there are none.
  double answer_rate(std::chrono::steady_clock::time_point now);
  void note_latency(std::chrono::steady_clock::time_point now, double ms);
  void forget_old_latencies(std::chrono::steady_clock::time_point now);
};

}  // namespace ds::router
