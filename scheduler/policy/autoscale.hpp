#pragma once

#include <cstdint>
#include <string>

#include "scheduler/policy/load_history.hpp"

namespace ds::scheduler {

struct AutoscaleOptions {
  std::uint32_t min = 1, max = 1;    ///< replicas; min <= max, and max > 0
  double target = 16;                ///< requests of a replica at once, waiting ones included; 0: not by that
  double p99_ms = 0;                 ///< of a request; 0: not by that. With both, the larger answer counts
  std::int64_t up_delay_ms = 2'000;  ///< load is averaged over this before replicas are added
  std::int64_t down_delay_ms = 60'000;      ///< nothing in this long has needed them: they go
  std::int64_t to_zero_after_ms = 600'000;  ///< without a request, where `min` is 0
};

struct AutoscaleDecision {
  std::uint32_t replicas = 0;
  std::string reason;  ///< a sentence with the numbers compared
  bool operator==(const AutoscaleDecision&) const = default;
};

/// A burst: the load of so long needs at least so many times the replicas that there are.
inline constexpr std::int64_t kPanicWindowMs = 500;
inline constexpr double kPanicFactor = 2;
/// Replicas are added when the load is more than this above the target, and go when what is left would be as
/// much below.
inline constexpr double kAutoscaleTolerance = 0.1;
/// Of the replicas that would serve what arrives, by what each has answered at most: those beyond only serve
/// the backlog.
inline constexpr double kBacklogShare = 1.5;
/// Times the replicas there are, at once, because of the latency.
inline constexpr double kMostLatencyGrowth = 4;

/// How many replicas there should be.
///
/// By ongoing requests over `target`, as Knative's autoscaler does: averaged over `up_delay_ms`, or in a
/// burst over `kPanicWindowMs`. A backlog grows while replicas start and says little of what is needed, so no
/// more are added than `kBacklogShare` times what the arrivals need, when replicas are saturated and their
/// rate is therefore known. Fewer only when every mean within `down_delay_ms` would have allowed it (the
/// stabilization window of Kubernetes' HorizontalPodAutoscaler), within a tolerance. By latency: grows when
/// it was above `p99_ms` for all of `up_delay_ms` with the same replicas and none starting; shrinks by one
/// when it was under half of it for `down_delay_ms`. From zero: one replica at once when a request waits, and
/// no more until it is ready and its speed is known. An empty history: as many as `min`. Never outside [min,
/// max]. Pure.
AutoscaleDecision autoscale(const AutoscaleOptions& options, const LoadHistory& history, std::int64_t now_ms);

}  // namespace ds::scheduler
