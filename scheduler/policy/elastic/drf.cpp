#include <algorithm>
#include <numeric>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

/// Dominant resource fairness (Ghodsi et al., NSDI 2011) of jobs that each are a user of their own: slots are
/// the one resource that is short, so the dominant share is the share of slots. One slot at a time goes to
/// the job with the smallest share that wants more, the earliest of equals, up to what it asked for. Of
/// several kinds of GPU a job keeps its own while it has slots, and else gets the one with the most slots for
/// each job on it; each kind is shared among its jobs alone.
class DominantResourceFairness final : public ElasticPolicy {
 public:
  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double) const override {
    FreeByKind free(cluster);
    const std::vector<std::size_t> kinds = choose_kinds(free, jobs);
    const std::vector<std::uint32_t> counts = fill(free.totals(), kinds, jobs);
    std::vector<Slots> plan(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].slots.size() != counts[i]) continue;
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (plan[i].size() != counts[i]) plan[i] = free.of(kinds[i]).take_packed(counts[i]);
    }
    return plan;
  }

 private:
  /// Of each job; `free` has all slots of the cluster.
  static std::vector<std::size_t> choose_kinds(const FreeByKind& free, std::span<const ElasticJob> jobs) {
    std::vector<std::size_t> kinds(jobs.size(), 0);
    const std::vector<std::uint32_t> slots = free.totals();
    std::vector<double> on(slots.size(), 0);  // jobs
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].slots.empty()) continue;
      kinds[i] = free.kind_of(jobs[i].slots);
      ++on[kinds[i]];
    }
    const auto slots_each = [&](std::size_t kind) { return slots[kind] / (on[kind] + 1); };
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!jobs[i].slots.empty()) continue;
      for (std::size_t kind = 1; kind < slots.size(); ++kind) {
        if (slots_each(kind) > slots_each(kinds[i])) kinds[i] = kind;
      }
      ++on[kinds[i]];
    }
    return kinds;
  }

  static std::vector<std::uint32_t> fill(std::vector<std::uint32_t> left, std::span<const std::size_t> kinds,
                                         std::span<const ElasticJob> jobs) {
    std::vector<std::uint32_t> counts(jobs.size(), 0);
    for (bool grew = true; grew;) {
      grew = false;
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (counts[i] >= jobs[i].requested_slots || left[kinds[i]] == 0) continue;
        ++counts[i];
        --left[kinds[i]];
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
