#include <algorithm>
#include <numeric>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Dominant resource fairness (Ghodsi et al., NSDI 2011) of jobs that each are a user of their own: slots are
/// the one resource that is short, so the dominant share is the share of slots. One slot at a time goes to
/// the job with the smallest share that wants more, the earliest of equals, up to what it asked for.
class DominantResourceFairness final : public ElasticPolicy {
 public:
  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    const std::vector<std::uint32_t> counts = fill(cluster.total(), jobs);
    std::vector<Slots> plan(jobs.size());
    FreeSlots free(cluster);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].slots.size() != counts[i]) continue;
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (plan[i].size() != counts[i]) plan[i] = free.take_packed(counts[i]);
    }
    return plan;
  }

 private:
  static std::vector<std::uint32_t> fill(std::uint32_t free, std::span<const ElasticJob> jobs) {
    std::vector<std::uint32_t> counts(jobs.size(), 0);
    for (bool grew = true; grew && free > 0;) {
      grew = false;
      for (std::size_t i = 0; i < jobs.size() && free > 0; ++i) {
        if (counts[i] >= jobs[i].requested_slots) continue;
        ++counts[i];
        --free;
        grew = true;
      }
    }
    return counts;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_drf_policy(const Oracle*) {
  return std::make_unique<DominantResourceFairness>();
}

}  // namespace ds::scheduler
