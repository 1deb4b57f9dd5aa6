#include "scheduler/policy/plan.hpp"

#include <algorithm>
#include <queue>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/shares.hpp"
#include "scheduler/policy/waiting_line.hpp"

namespace ds::scheduler {
namespace {

using Job = GangPlanner::Job;

/// Takes jobs in turn: of each queue the next one, of the queues the one whose turn it is.
///
/// `Next` gives the pending job of a queue or null; it changes as jobs are taken. There are few queues.
template <class Next, class Within>
Job* choose_turn(const Shares& shares, const QueueUse& use, std::size_t queues, Next next, Within is_within) {
  Job* best = nullptr;
  for (std::size_t queue = 0; queue < queues; ++queue) {
    Job* job = next(queue);
    if (job == nullptr) continue;
    const auto within = [&](Job* one) {
      return [&is_within, one](std::size_t on_the_way) { return is_within(*one, on_the_way); };
    };
    const int order =
        best == nullptr ? -1 : shares.compare(use, job->queue, within(job), best->queue, within(best));
    if (order < 0 || (order == 0 && job < best)) best = job;
  }
  return best;
}

class Planning {
 public:
  Planning(GangPlanner& planner, const TenantTree& tenants, std::span<const PastUse> past)
      : planner_(planner),
        tenants_(tenants),
        shares_(tenants, past, planner.total_slots(), planner.total_memory()),
        line_(tenants) {}

  void serve_minimums() {
    std::vector<std::vector<Job*>> pending(tenants_.queues.size());
    for (Job& job : planner_.jobs()) {
      if (job.workers >= job.needed) continue;
      if (job.demand->held || !planner_.is_feasible(job) || !planner_.is_allowed(job)) {
        // It keeps nobody else from starting: its time is not known, and it may never come.
        planner_.wait(job, planner_.facts_of(job));
      } else {
        pending[job.queue].push_back(&job);
      }
    }
    std::vector<std::size_t> served(pending.size(), 0);
    const auto next = [&](std::size_t queue) {
      return served[queue] < pending[queue].size() ? pending[queue][served[queue]] : nullptr;
    };
    const auto is_within = [&](const Job& job, std::size_t queue) {
      // If later jobs of its queue have got what was guaranteed, it is no reason to keep others from theirs.
      return job.guaranteed_levels >= tenants_[queue].depth &&
             planner_.minimums().fits_guarantee(queue, std::uint64_t{job.needed} * job.size.slots);
    };
    while (Job* job = choose_turn(shares_, planner_.minimums(), pending.size(), next, is_within)) {
      ++served[job->queue];
      serve_minimum(*job);
    }
    for (Job& job : planner_.jobs()) {  // those that were preempted in this plan
      if (job.workers >= job.needed || job.is_waiting) continue;
      WaitFacts facts = planner_.facts_of(job);
      describe_line(job, facts);
      planner_.wait(job, facts);
    }
  }

  /// Adds workers above the minimum, one at a time: in a queue to the most urgent started job, of equals to
  /// the one with the fewest.
  void grow() {
    // Else those that grow could take the quota of one that waits, which would keep back others then, and now
    // not.
    for (const Job* job : waiting_for_slots_) planner_.promise(*job);
    struct Later {
      bool operator()(const Job* a, const Job* b) const {
        return std::tuple(a->demand->priority, b->workers, b) <
               std::tuple(b->demand->priority, a->workers, a);
      }
    };
    using Growing = std::priority_queue<Job*, std::vector<Job*>, Later>;
    std::vector<Growing> growing(tenants_.queues.size());
    for (Job& job : planner_.jobs()) {
      // A job that has just been shrunk would get back what it gave.
      const bool wants = job.workers >= job.needed && job.workers < job.demand->workers.max && !blocks(job);
      if (wants && job.has_queue && !job.demand->held && !job.was_shrunk) growing[job.queue].push(&job);
    }
    const auto next = [&](std::size_t queue) {
      return growing[queue].empty() ? nullptr : growing[queue].top();
    };
    const auto is_within = [&](const Job& job, std::size_t queue) {
      return planner_.use().fits_guarantee(queue, job.size.slots);
    };
    while (Job* job = choose_turn(shares_, planner_.use(), growing.size(), next, is_within)) {
      growing[job->queue].pop();
      if (job->was_shrunk) continue;
      if (!planner_.place(*job, 1) && !planner_.reclaim_room(*job)) continue;
      if (job->workers + job->kept < job->demand->workers.max) growing[job->queue].push(job);
    }
  }

 private:
  /// Whether what the job took now could never be had back by a job that waits for slots.
  bool blocks(const Job& job) const {
    return !job.demand->preemptible && std::ranges::any_of(waiting_for_slots_, [&](const Job* waiting) {
      return waiting->demand->priority >= job.demand->priority;
    });
  }

  /// Gives the job its minimum, or a reason why not.
  void serve_minimum(Job& job) {
    const std::uint32_t missing = job.needed - job.workers;
    // A started job is not kept back by those ahead: they may be waiting for the very workers that it has.
    const bool is_behind = job.workers == 0 && line_.is_behind(job.queue);
    if (!is_behind && planner_.place(job, missing)) return;
    WaitFacts facts = planner_.facts_of(job);  // as they are before room is made, which is not free yet
    if (is_behind) {
      describe_line(job, facts);
      line_.add(job, job.queue);
    } else {
      facts.too_young = planner_.count_too_young(job);
      const auto limit = planner_.find_limit(job, missing);
      const bool for_quota_alone = limit && !planner_.lacks_slots(job, missing);
      facts.room_is_coming = planner_.make_room(job, missing);
      facts.releasing = planner_.count_releasing();
      // Whoever waits for slots keeps all back, whoever waits for a quota those who would use it.
      const bool keeps_all_back = !limit || (facts.room_is_coming && !for_quota_alone);
      line_.add(job, keeps_all_back ? TenantTree::kRoot : *limit);
      if (!facts.room_is_coming && !limit) waiting_for_slots_.push_back(&job);
    }
    planner_.wait(job, facts);
  }

  void describe_line(const Job& job, WaitFacts& facts) const {
    line_.describe(job, facts);
    if (!facts.turn) return;
    facts.turn->first_share = shares_.of(planner_.minimums(), line_.first_before(job.queue)->queue);
    facts.turn->own_share = shares_.of(planner_.minimums(), job.queue);
  }

  GangPlanner& planner_;
  const TenantTree& tenants_;
  const Shares shares_;
  WaitingLine line_;
  std::vector<const Job*> waiting_for_slots_;
};

}  // namespace

Plan plan_jobs(std::span<const NodeView> nodes, std::span<const Lease> leases,
               std::span<const Demand> demands, const TenantTree& tenants, std::span<const PastUse> past) {
  GangPlanner planner(nodes, leases, demands, tenants);
  Planning planning(planner, tenants, past);
  planning.serve_minimums();
  planning.grow();
  return planner.take_plan();
}

}  // namespace ds::scheduler
