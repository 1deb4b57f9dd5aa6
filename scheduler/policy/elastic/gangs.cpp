#include <algorithm>
#include <map>
#include <string>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {
namespace {

/// What the live head decides, by the very planner that it runs: each job is a gang of as many workers of one
/// slot as it asked for, all of one tenant and equally urgent, so that nothing is ever taken back.
class Gangs final : public ElasticPolicy {
 public:
  bool plans_at_events() const override { return true; }

  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    std::vector<NodeView> nodes;
    std::map<std::string, std::uint32_t, std::less<>> numbers;
    for (std::uint32_t node = 0; node < cluster.slots.size(); ++node) {
      nodes.push_back({std::to_string(node), cluster.slots[node], 0, true});
      numbers.emplace(nodes.back().id, node);
    }
    std::vector<Lease> leases;
    std::vector<Demand> demands;
    std::map<std::string, std::size_t, std::less<>> places;
    std::vector<Slots> plan(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const std::string id = std::to_string(jobs[i].id);
      places.emplace(id, i);
      plan[i] = jobs[i].slots;
      const WorkerCount workers{jobs[i].requested_slots, jobs[i].requested_slots};
      demands.push_back({.job = id, .order = jobs[i].id, .workers = workers});
      for (const std::uint32_t node : jobs[i].slots)
        leases.push_back({.worker = leases.size() + 1, .job = id, .node = nodes[node].id});
    }
    for (const Placement& placement : plan_jobs(nodes, leases, demands).placements) {
      Slots& slots = plan[places.find(placement.job)->second];
      slots.insert(slots.end(), placement.count, numbers.find(placement.node)->second);
      std::ranges::sort(slots);
    }
    return plan;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_gangs_policy(const Oracle*) {
  return std::make_unique<Gangs>();
}

}  // namespace ds::scheduler
