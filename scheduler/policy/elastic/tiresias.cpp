#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Discretized two-dimensional least attained service (Gu et al., NSDI 2019), as in Pollux's comparison. The
/// first queue holds jobs in the order of submission; one that has had `kDemotion` slot-seconds at the end of
/// a round is put at the end of the second. Who does not fit is passed over.
class Tiresias final : public ElasticPolicy {
 public:
  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    const std::vector<std::size_t> granted = grant(cluster, jobs);
    std::vector<Slots> plan(jobs.size());
    FreeSlots free(cluster);
    for (const std::size_t i : granted) {
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (const std::size_t i : granted) {
      if (plan[i].empty()) plan[i] = free.take_emptiest(jobs[i].requested_slots);
    }
    return plan;
  }

 private:
  static constexpr double kDemotion = 16 * 3600;

  /// The end of the round in which the job came to its limit; less than any time as long as it has not.
  static double demoted_s(const ElasticJob& job, double round_s) {
    double left_s = kDemotion / job.requested_slots;
    for (const RunSpan& run : job.runs) {
      if (run.to_s - run.from_s >= left_s) return run.from_s + std::ceil(left_s / round_s) * round_s;
      left_s -= run.to_s - run.from_s;
    }
    return -std::numeric_limits<double>::infinity();
  }

  static std::vector<std::size_t> grant(const ElasticCluster& cluster, std::span<const ElasticJob> jobs) {
    std::vector<double> demoted(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) demoted[i] = demoted_s(jobs[i], cluster.round_s);
    std::vector<std::size_t> order(jobs.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return demoted[a] < demoted[b]; });
    std::uint32_t free = cluster.total();
    std::vector<std::size_t> granted;
    for (const std::size_t i : order) {
      if (jobs[i].requested_slots > free) continue;
      free -= jobs[i].requested_slots;
      granted.push_back(i);
    }
    return granted;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_tiresias_policy(const Oracle*) {
  return std::make_unique<Tiresias>();
}

}  // namespace ds::scheduler
