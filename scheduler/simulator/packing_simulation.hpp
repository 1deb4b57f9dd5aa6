#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "scheduler/policy/packing/packing_policy.hpp"
#include "scheduler/simulator/input.hpp"

namespace ds::simulator {

/// How far it was when a job that asks for GPUs had come.
struct PackingPoint {
  double requested_gpu_milli = 0;
  double allocated_gpu_milli = 0;
};

struct PackingOutcome {
  std::size_t jobs = 0;    ///< that came
  std::size_t placed = 0;  ///< of them; the others fitted nowhere
  double gpu_milli = 0;    ///< of the cluster; the next ones: asked for by all that came, and given
  double requested_gpu_milli = 0;
  double allocated_gpu_milli = 0;
  double cpu_milli = 0;
  double allocated_cpu_milli = 0;
  std::vector<PackingPoint> curve{};  ///< for each job that asks for GPUs, the first first
  std::vector<double> decision_ms{};  ///< of each job
};

/// In what order jobs come: all once, shuffled, then any of them again until together they ask for
/// `load_percent` of the cluster's GPUs, as the FGD study (ATC 2023) loads its cluster. Numbers into `jobs`,
/// of which at least one must ask for a GPU. The same for the same seed everywhere.
std::vector<std::size_t> draw_arrivals(std::span<const scheduler::PackingDemand> jobs,
                                       std::span<const scheduler::PackingNode> nodes, double load_percent,
                                       std::uint64_t seed);

/// Places jobs one by one, for ever; one that fits nowhere is dropped. Refuses a policy that gives what is
/// not free. `clock_ms` measures decisions in real time, it may be empty.
Read<PackingOutcome> simulate_packing(std::vector<scheduler::PackingNode> nodes,
                                      std::span<const scheduler::PackingDemand> jobs,
                                      std::span<const std::size_t> arrivals, scheduler::PackingPolicy& policy,
                                      const std::function<double()>& clock_ms);

/// `jobs`, `placed`, `requested_share` and `allocated_share` of the cluster's GPUs, `cpu_allocated_share`,
/// and `decision_ms_p50`, `decision_ms_p99` when they were measured.
nlohmann::ordered_json to_json(const PackingOutcome& outcome);

}  // namespace ds::simulator
