#include <limits>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Each job gets what it asked for, in the order of submission, and keeps it; the first that does not fit
/// keeps all later ones waiting. What could never fit is passed over.
class Fifo final : public ElasticPolicy {
 public:
  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    std::vector<Slots> plan(jobs.size());
    FreeSlots free(cluster);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!plan[i].empty() || jobs[i].requested_slots > cluster.total()) continue;
      if (jobs[i].requested_slots > free.total()) break;
      plan[i] = free.take_packed(jobs[i].requested_slots);
    }
    return plan;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_fifo_policy(const Oracle*) {
  return std::make_unique<Fifo>();
}

}  // namespace ds::scheduler
