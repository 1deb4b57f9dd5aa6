#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/serving/batch_queue.hpp"

namespace ds::serving {

/// A request that comes whether or not earlier ones have been answered.
struct Request {
  std::int64_t at_us = 0;
  std::string tenant;
  std::int64_t timeout_us = 0;  ///< 0: it waits for ever
  std::uint32_t priority = 1;
  std::uint64_t shape_key = 0;
};

struct Outcome {
  std::int64_t latency_us = -1;  ///< -1: it was not answered
  bool in_time = false;
};

struct ReplicaRun {
  std::vector<Outcome> outcomes;  ///< by request
  std::size_t deepest = 0;
  std::int64_t ended_us = 0;
  BatchCounters counters;
  /// Of those after the first tenth that were answered; the queue was warming up before.
  std::int64_t p99_us() const;
  std::size_t answered_in_time() const;
};

using ServiceTime = std::function<double(std::uint32_t rows)>;

/// Poisson arrivals; `burst` > 1: so many times the rate for a fifth of each second, and less in the rest.
std::vector<Request> make_arrivals(double per_second, std::size_t count, std::uint32_t seed,
                                   double burst = 1);

/// Runs a queue and its executors in virtual time. Each batch takes `service` with noise: 8 % either way, and
/// one of 200 takes half as long again.
ReplicaRun run_replica(const BatchingOptions& options, const std::vector<Request>& requests,
                       const ServiceTime& service, std::uint32_t seed);

}  // namespace ds::serving
