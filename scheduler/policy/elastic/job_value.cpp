#include "scheduler/policy/elastic/job_value.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ds::scheduler {
namespace {

// Few constants, each with one meaning; all were chosen by the mean over many draws from the workloads.

/// Where what is left, in seconds on one slot, lifts a job out of the first level, and the ratio of levels.
constexpr double kFirstLevelS = 300;
constexpr double kLevelRatio = 4;
/// How little more of a large speed-up counts: 1 only the sum of speed-ups, towards 0 their product.
constexpr double kSpeedPower = 0.5;
/// For how long a new number of slots is thought to last: one that the job has had before, and one that it
/// tries for the first time. A restart must pay within it.
constexpr double kResizeHorizonS = 400;
constexpr double kGrowthHorizonS = 800;
/// The share of what is known to be left for which it is thought to last at most.
constexpr double kLeftShare = 0.3;

bool has_known_end(const ElasticJob& job) {
  return job.usual_work && *job.usual_work > job.progress;
}

}  // namespace

std::vector<std::uint32_t> list_sizes(std::uint32_t most, std::uint32_t per_node) {
  std::vector<std::uint32_t> sizes;
  for (std::uint32_t size = 1; size <= most;) {
    sizes.push_back(size);
    if (size < per_node) {
      size = std::min(2 * size, per_node);
    } else if (size < 4 * per_node) {
      size += per_node;
    } else {
      size += (size < 8 * per_node ? 2 : 4) * per_node;
    }
  }
  return sizes;
}

double expect_left_s(const ElasticJob& job, double speed) {
  return (has_known_end(job) ? *job.usual_work - job.progress : job.progress) / speed;
}

std::vector<std::size_t> rank_jobs(std::span<const ElasticJob> jobs, std::span<const double> left_s) {
  const auto level = [&](std::size_t i) {
    return std::floor(std::log1p(left_s[i] / kFirstLevelS) / std::log(kLevelRatio));
  };
  std::vector<std::size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(level(a), jobs[a].id) < std::pair(level(b), jobs[b].id);
  });
  return order;
}

double rank_weight(std::size_t place, std::size_t jobs, double power) {
  return std::pow(static_cast<double>(jobs - place), power);
}

double speed_value(double speedup) {
  return (std::pow(speedup, kSpeedPower) - 1) / kSpeedPower;
}

double resize_factor(const ElasticCluster& cluster, const ElasticJob& job, std::uint32_t slots,
                     double speed) {
  const bool is_new = 2 * slots > job.max_slots;
  const double life_s =
      has_known_end(job) ? kLeftShare * expect_left_s(job, speed) : job.run_s + cluster.round_s;
  const double horizon = std::min(life_s, is_new ? kGrowthHorizonS : kResizeHorizonS);
  return horizon / (horizon + job.restart_s.value_or(cluster.restart_s));
}

}  // namespace ds::scheduler
