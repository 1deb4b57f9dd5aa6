#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Earliest deadline first, as in ElasticFlow's comparison (Gu et al., ASPLOS 2023): the job with the nearest
/// deadline gets all slots that it can be run on, whether or not they make it faster, then the next one; the
/// first that finds fewer gets the largest power of two of them. Whenever a job comes or ends all is divided
/// anew. Nobody is refused, and late jobs go on.
class Edf final : public ElasticPolicy {
 public:
  bool plans_at_events() const override { return true; }

  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    std::vector<std::size_t> order(jobs.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return deadline_s(jobs[a]) < deadline_s(jobs[b]); });
    std::vector<std::uint32_t> counts(jobs.size(), 0);
    std::uint32_t left = cluster.total();
    for (const std::size_t i : order) {
      counts[i] =
          jobs[i].is_rigid ? jobs[i].requested_slots : std::bit_floor(std::min(jobs[i].max_slots, left));
      if (counts[i] > left) counts[i] = 0;
      left -= counts[i];
    }
    return place(cluster, jobs, counts, order);
  }

 private:
  static double deadline_s(const ElasticJob& job) {
    return job.deadline ? job.deadline->deadline_s : std::numeric_limits<double>::infinity();
  }

  static std::vector<Slots> place(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                                  std::span<const std::uint32_t> counts, std::span<const std::size_t> order) {
    std::vector<Slots> plan(jobs.size());
    FreeSlots free(cluster);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (counts[i] == 0 || counts[i] != jobs[i].slots.size()) continue;
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (const std::size_t i : order) {
      if (counts[i] > 0 && plan[i].empty()) plan[i] = free.take_packed(counts[i]);
    }
    return plan;
  }
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_edf_policy(const Oracle*) {
  return std::make_unique<Edf>();
}

}  // namespace ds::scheduler
