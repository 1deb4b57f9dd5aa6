#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "actors/head/views.hpp"
#include "actors/head/waiting_jobs.hpp"

namespace ds::head {

/// How long things took, as Prometheus counts it.
template <std::size_t kBounds>
struct TimeHistogram {
  std::array<double, kBounds> bounds_s;             ///< ascending; what is longer than all is counted too
  std::array<std::uint64_t, kBounds + 1> counts{};  ///< not cumulative
  double sum_s = 0;

  void observe(double seconds) {
    std::size_t place = 0;
    while (place < kBounds && seconds > bounds_s[place]) ++place;
    ++counts[place];
    sum_s += seconds;
  }
};

/// What has happened since this head began: a new one counts from zero, as Prometheus expects.
struct HeadCounters {
  /// From a job's submission to its first start.
  TimeHistogram<12> job_wait{.bounds_s = {0.1, 0.5, 1, 5, 15, 60, 300, 900, 3'600, 14'400, 43'200, 86'400}};
  /// One round of decisions of the scheduler.
  TimeHistogram<12> cycle{
      .bounds_s = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1}};
  std::uint64_t preempted = 0;  ///< jobs that lost all workers to one that comes first
  std::uint64_t shrunk = 0;     ///< workers that left a job which goes on with the rest
  std::uint64_t drained = 0;    ///< workers and servers that left a drained node
  std::uint64_t checkpoint_bytes = 0;
};

/// The cluster as `/metrics` shows it: `ds_jobs`, `ds_pending_jobs`, `ds_job_wait_seconds`,
/// `ds_sched_cycle_seconds`, `ds_preemptions_total`, `ds_tenant_slots`, `ds_tenant_gpus`,
/// `ds_tenant_guaranteed_gpus`, `ds_tenant_share_ratio`, `ds_nodes`, `ds_slots`, `ds_gpus`,
/// `ds_checkpoint_bytes_total`. `waits`: of jobs that wait, by the first reason that `why` has; more wait for
/// `unknown`. Looks at all leases, and at no job. Pure.
std::string cluster_metrics(const scheduler::Ledger& ledger, std::span<const NodeEntry> nodes,
                            const HeadCounters& counters, const WaitCounts& waits);

}  // namespace ds::head
