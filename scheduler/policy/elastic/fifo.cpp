#include <limits>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Each job gets what it asked for, in the order of submission, and keeps it; the first that does not fit
/// keeps all later ones waiting. What could never fit is passed over. Of several kinds of GPU it gets the one
/// with the most free slots.
class Fifo final : public ElasticPolicy {
 public:
  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    std::vector<Slots> plan(jobs.size());
    FreeByKind free(cluster);
    const std::uint32_t most = free.of(free.emptiest()).total();
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!plan[i].empty() || jobs[i].requested_slots > most) continue;
      FreeSlots& kind = free.of(free.emptiest());
      if (jobs[i].requested_slots > kind.total()) break;
      plan[i] = kind.take_packed(jobs[i].requested_slots);
    }
    return plan;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_fifo_policy(const Oracle*) {
  return std::make_unique<Fifo>();
}

}  // namespace ds::scheduler
