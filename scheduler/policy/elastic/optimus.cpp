#include <algorithm>
#include <cassert>
#include <limits>
#include <numeric>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Optimus (Peng et al., EuroSys 2018), as in Pollux's comparison: told what is left to do and how long steps
/// take. One slot to each job in the order of submission, then one at a time to the job whose remaining time
/// it shortens most.
class Optimus final : public ElasticPolicy {
 public:
  explicit Optimus(const Oracle* oracle) : oracle_(*oracle) {}

  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    const std::vector<std::uint32_t> counts = divide(cluster, jobs);
    std::vector<Slots> plan(jobs.size());
    FreeSlots free(cluster);
    std::vector<std::size_t> moved;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].slots.size() != counts[i]) {
        moved.push_back(i);
        continue;
      }
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    std::stable_sort(moved.begin(), moved.end(),
                     [&](std::size_t a, std::size_t b) { return counts[a] < counts[b]; });
    for (const std::size_t i : moved) plan[i] = free.take_emptiest(counts[i]);
    return plan;
  }

 private:
  std::vector<std::uint32_t> divide(const ElasticCluster& cluster, std::span<const ElasticJob> jobs) const {
    const std::uint32_t per_node = *std::max_element(cluster.slots.begin(), cluster.slots.end());
    std::uint32_t free = cluster.total();
    std::vector<std::uint32_t> counts(jobs.size(), 0);
    std::vector<double> gains(jobs.size(), -std::numeric_limits<double>::infinity());
    const auto weigh = [&](std::size_t i) {
      const std::uint32_t id = jobs[i].id;
      if (counts[i] >= oracle_.max_slots(id)) {
        gains[i] = -std::numeric_limits<double>::infinity();
        return;
      }
      gains[i] = (oracle_.step_seconds(id, counts[i], per_node) -
                  oracle_.step_seconds(id, counts[i] + 1, per_node)) *
                 oracle_.remaining_steps(id);
    };
    for (std::size_t i = 0; i < jobs.size() && free > 0; ++i, --free) counts[i] = 1;
    if (free == 0) return counts;
    for (std::size_t i = 0; i < jobs.size(); ++i) weigh(i);
    for (; free > 0; --free) {
      const auto best = std::max_element(gains.begin(), gains.end());
      if (best == gains.end() || *best <= 0) break;
      const auto i = static_cast<std::size_t>(best - gains.begin());
      ++counts[i];
      weigh(i);
    }
    return counts;
  }

  const Oracle& oracle_;
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_optimus_policy(const Oracle* oracle) {
  assert(oracle != nullptr);
  return std::make_unique<Optimus>(oracle);
}

}  // namespace ds::scheduler
