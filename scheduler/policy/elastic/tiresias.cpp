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
/// a round is put at the end of the second. Who does not fit is passed over. Of several
/// kinds of GPU a job keeps its own where that has room beside those before it, and else gets the one with
/// the most left.
class Tiresias final : public ElasticPolicy {
 public:
  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    FreeByKind free(cluster);
    const std::vector<Grant> granted = grant(cluster, jobs, free);
    std::vector<Slots> plan(jobs.size());
    for (const auto& [i, kind] : granted) {
      if (jobs[i].slots.empty() || free.kind_of(jobs[i].slots) != kind) continue;
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (const auto& [i, kind] : granted) {
      if (plan[i].empty()) plan[i] = free.of(kind).take_emptiest(jobs[i].requested_slots);
    }
    return plan;
  }

 private:
  struct Grant {
    std::size_t job = 0;
    std::size_t kind = 0;
  };
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

  /// `free` has all slots of the cluster.
  static std::vector<Grant> grant(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                                  const FreeByKind& free) {
    std::vector<double> demoted(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) demoted[i] = demoted_s(jobs[i], cluster.round_s);
    std::vector<std::size_t> order(jobs.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return demoted[a] < demoted[b]; });
    std::vector<std::uint32_t> left = free.totals();
    std::vector<Grant> granted;
    for (const std::size_t i : order) {
      auto kind = static_cast<std::size_t>(std::max_element(left.begin(), left.end()) - left.begin());
      if (!jobs[i].slots.empty()) {
        const std::size_t own = free.kind_of(jobs[i].slots);
        if (jobs[i].requested_slots <= left[own]) kind = own;
      }
      if (jobs[i].requested_slots > left[kind]) continue;
      left[kind] -= jobs[i].requested_slots;
      granted.push_back({i, kind});
    }
    return granted;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_tiresias_policy(const Oracle*) {
  return std::make_unique<Tiresias>();
}

}  // namespace ds::scheduler
