#include "scheduler/simulator/packing_simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "scheduler/simulator/report.hpp"

namespace ds::simulator {
namespace {

using scheduler::PackingDemand;
using scheduler::PackingNode;
using scheduler::Place;

double gpu_milli(const PackingDemand& job) {
  return static_cast<double>(job.gpus) * job.gpu_milli;
}

bool is_free(std::span<const PackingNode> nodes, const Place& place, const PackingDemand& job) {
  if (place.node >= nodes.size() || place.gpus.size() != job.gpus) return false;
  const PackingNode& node = nodes[place.node];
  if (!scheduler::fits(node, job)) return false;
  for (auto gpu = place.gpus.begin(); gpu != place.gpus.end(); ++gpu) {
    if (*gpu >= node.gpu_milli.size() || node.gpu_milli[*gpu] < job.gpu_milli) return false;
    if (std::find(place.gpus.begin(), gpu, *gpu) != gpu) return false;
  }
  return true;
}

}  // namespace

std::vector<std::size_t> draw_arrivals(std::span<const PackingDemand> jobs,
                                       std::span<const PackingNode> nodes, double load_percent,
                                       std::uint64_t seed) {
  double wanted = 0;
  for (const PackingNode& node : nodes) wanted += node.free_gpu_milli() * load_percent / 100;
  std::vector<std::size_t> arrivals(jobs.size());
  std::iota(arrivals.begin(), arrivals.end(), 0);
  // Not std::shuffle, which may differ between standard libraries.
  std::mt19937_64 random(seed);
  for (std::size_t left = arrivals.size(); left > 1; --left)
    std::swap(arrivals[left - 1], arrivals[random() % left]);
  for (const PackingDemand& job : jobs) wanted -= gpu_milli(job);
  while (wanted > 0) {
    arrivals.push_back(random() % jobs.size());
    wanted -= gpu_milli(jobs[arrivals.back()]);
  }
  return arrivals;
}

Read<PackingOutcome> simulate_packing(std::vector<PackingNode> nodes, std::span<const PackingDemand> jobs,
                                      std::span<const std::size_t> arrivals, scheduler::PackingPolicy& policy,
                                      const std::function<double()>& clock_ms) {
  PackingOutcome outcome;
  for (const PackingNode& node : nodes) {
    outcome.gpu_milli += node.free_gpu_milli();
    outcome.cpu_milli += node.cpu_milli;
  }
  for (const std::size_t arrival : arrivals) {
    const PackingDemand& job = jobs[arrival];
    ++outcome.jobs;
    outcome.requested_gpu_milli += gpu_milli(job);
    const double from_ms = clock_ms ? clock_ms() : 0;
    const auto place = policy.choose(nodes, job);
    if (clock_ms) outcome.decision_ms.push_back(clock_ms() - from_ms);
    if (place) {
      if (!is_free(nodes, *place, job))
        return refuse(
            fmt::format("the policy gave job {} of the order of arrival what is not free", outcome.jobs));
      scheduler::take(nodes[place->node], job, place->gpus);
      ++outcome.placed;
      outcome.allocated_gpu_milli += gpu_milli(job);
      outcome.allocated_cpu_milli += job.cpu_milli;
    }
    if (job.gpus > 0) outcome.curve.push_back({outcome.requested_gpu_milli, outcome.allocated_gpu_milli});
  }
  return outcome;
}

nlohmann::ordered_json to_json(const PackingOutcome& outcome) {
  nlohmann::ordered_json report{
      {"jobs", outcome.jobs},
      {"placed", outcome.placed},
      {"requested_share", outcome.requested_gpu_milli / outcome.gpu_milli},
      {"allocated_share", outcome.allocated_gpu_milli / outcome.gpu_milli},
      {"cpu_allocated_share", outcome.allocated_cpu_milli / std::max(outcome.cpu_milli, 1.0)},
  };
  if (!outcome.decision_ms.empty()) {
    report["decision_ms_p50"] = percentile(outcome.decision_ms, 50);
    report["decision_ms_p99"] = percentile(outcome.decision_ms, 99);
  }
  return report;
}

}  // namespace ds::simulator
