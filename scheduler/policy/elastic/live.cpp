#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "scheduler/policy/elastic/elastic_policy.hpp"
#include "scheduler/policy/planner.hpp"

namespace ds::scheduler {
namespace {

/// So many plans follow each other at a moment at most; what they would still change waits for the next one.
constexpr std::size_t kMaxPlans = 10'000;

/// A moment of the live head: what its jobs have and want, and the planner that is told of it.
class Moment {
 public:
  Moment(const ElasticCluster& cluster, std::span<const ElasticJob> jobs, double now_s, GrowthRule growth)
      : jobs_(jobs), now_s_(now_s), now_ms_(std::llround(now_s * 1000)), growth_(growth) {
    std::vector<NodeView> nodes;
    for (std::uint32_t node = 0; node < cluster.slots.size(); ++node) {
      nodes.push_back({std::to_string(node), cluster.slots[node], 0, true});
      nodes_.emplace(nodes.back().id, node);
    }
    planner_.set_nodes(std::move(nodes));
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      places_.emplace(std::to_string(jobs[i].id), i);
      decision_.rests.push_back(jobs[i].rest);
      leases_.emplace_back();
      for (const std::uint32_t node : jobs[i].slots) add_lease(i, std::to_string(node));
      tell(i);
    }
  }

  /// Plans follow each other, as the head's do, until they change nothing.
  Decision decide() {
    for (std::size_t plans = 0; plans < kMaxPlans; ++plans) {
      if (!carry_out(planner_.plan({}, now_ms_))) break;
    }
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      decision_.slots.emplace_back();
      for (const Lease& lease : leases_[i]) decision_.slots.back().push_back(nodes_.find(lease.node)->second);
      if (decision_.rests[i].is_resting(now_ms_))
        wake_at(static_cast<double>(decision_.rests[i].until_ms()) / 1000);
      if (growth_ != GrowthRule::least_attained || !jobs_[i].told || leases_[i].empty()) continue;
      const double had = jobs_[i].attained_slot_s;
      wake_at(now_s_ + (next_lower_weight_slot_s(had) - had) / static_cast<double>(leases_[i].size()));
    }
    return std::move(decision_);
  }

 private:
  void wake_at(double at_s) { decision_.wake_s = std::min(decision_.wake_s.value_or(at_s), at_s); }

  /// As `Ledger::demand` has it, of a job that trains or of a gang that its owner wants whole. How much is
  /// left to do is never told: an owner says it, but these traces' schedulers may not know it.
  void tell(std::size_t i) {
    const ElasticJob& job = jobs_[i];
    const auto workers = static_cast<std::uint32_t>(leases_[i].size());
    Demand demand{.job = std::to_string(job.id),
                  .order = job.id,
                  .workers = {job.requested_slots, job.requested_slots}};
    demand.is_young = !job.slots.empty() && now_s_ - job.runs.back().from_s < kMinimumRunS;
    if (job.told) {
      demand.workers = {1, job.max_slots};
      demand.curve = job.told->curve;
      demand.is_settled = find_measured(job.told->sizes, workers) != nullptr;
      demand.can_relocate = demand.workers.min < demand.workers.max;
      demand.is_new_there = demand.can_relocate && workers > 0 && job.unchanged_s < kMinimumRunS;
      if (growth_ == GrowthRule::least_attained) demand.weight = weight_by_attained(job.attained_slot_s);
      decision_.rests[i].limit(demand, workers, now_ms_);
    }
    planner_.set_job(demand.job, demand, leases_[i]);
  }

  /// Beside others on that node, as `Slots` wants it; else a job's newest is its last.
  void add_lease(std::size_t i, const std::string& node) {
    const auto last = std::ranges::find(leases_[i].rbegin(), leases_[i].rend(), node, &Lease::node);
    leases_[i].insert(last == leases_[i].rend() ? leases_[i].end() : last.base(),
                      {.worker = ++workers_, .job = std::to_string(jobs_[i].id), .node = node});
  }

  /// Who is told to stop is gone at once: what a change costs is the trace's to say. False: there was nothing
  /// to do.
  bool carry_out(const Plan& plan) {
    if (plan.releases.empty() && plan.placements.empty()) return false;
    std::vector<std::size_t> changed;
    for (const Release& release : plan.releases) {
      const std::size_t i = places_.find(release.job)->second;
      std::erase_if(leases_[i], [&](const Lease& lease) { return lease.worker == release.worker; });
      changed.push_back(i);
    }
    for (const Placement& placement : plan.placements) {
      const std::size_t i = places_.find(placement.job)->second;
      for (std::uint32_t worker = 0; worker < placement.count; ++worker) add_lease(i, placement.node);
      changed.push_back(i);
    }
    for (const SizeChange& change : plan.resizes) {
      if (!change.is_known || !change.in_favour_of.empty()) continue;
      decision_.rests[places_.find(change.job)->second].on_changed(change.from, change.to, now_ms_);
    }
    for (const std::size_t i : changed) tell(i);
    return true;
  }

  static constexpr double kMinimumRunS = std::chrono::duration<double>(kMinimumRun).count();

  std::span<const ElasticJob> jobs_;
  double now_s_;
  std::int64_t now_ms_;
  GrowthRule growth_;
  std::map<std::string, std::uint32_t, std::less<>> nodes_;
  std::map<std::string, std::size_t, std::less<>> places_;  ///< by job
  std::vector<std::vector<Lease>> leases_;
  std::uint64_t workers_ = 0;  ///< so far
  Planner planner_;
  Decision decision_;
};

/// What the live head decides, by the very planner that it runs and from what it would know: all jobs of one
/// tenant and equally urgent, a worker for each slot.
class Live final : public ElasticPolicy {
 public:
  explicit Live(GrowthRule growth) : growth_(growth) {}

  bool plans_at_events() const override { return true; }

  std::vector<Slots> plan(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                          double now_s) const override {
    return decide(cluster, jobs, now_s).slots;
  }

  Decision decide(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                  double now_s) const override {
    return Moment(cluster, jobs, now_s, growth_).decide();
  }

 private:
  GrowthRule growth_;
};

}  // namespace

std::unique_ptr<ElasticPolicy> make_live_policy(const Oracle*) {
  return std::make_unique<Live>(GrowthRule::gain);
}

std::unique_ptr<ElasticPolicy> make_live_least_attained_policy(const Oracle*) {
  return std::make_unique<Live>(GrowthRule::least_attained);
}

}  // namespace ds::scheduler
