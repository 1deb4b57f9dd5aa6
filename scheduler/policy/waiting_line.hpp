#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/wait_reasons.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// The jobs that keep later ones from starting, in a plan so far: each those below one queue.
class WaitingLine {
 public:
  using Job = GangPlanner::Job;

  explicit WaitingLine(const TenantTree& tenants) : tenants_(tenants), lines_(tenants.queues.size()) {}

  /// On a job's way to the root, from how near to it on its claim to what it lacks counts, as depths: at the
  /// queues below `limit` up to `guarantee`. The default is at all of them.
  struct Claim {
    std::size_t limit = 0;  ///< of the lowest limit that it would pass; 0: only the cluster's, or none
    std::size_t guarantee = std::numeric_limits<std::size_t>::max();  ///< of the lowest that has it for it
    bool counts_at(std::size_t depth) const { return limit < depth && depth <= guarantee; }
  };
  /// `keeps_back`: the job's queue or one above it.
  void add(const Job& job, std::size_t keeps_back, const Claim& claim);

  bool is_behind(std::size_t queue) const;
  /// Whether the queue's next job is: not behind jobs of other queues that wait for what no guarantee gives
  /// them, if it is within one itself. `is_within` says so of a queue on its way.
  template <class Within>
  bool is_behind(std::size_t queue, Within is_within) const {
    if (lines_[queue].own > 0) return true;
    for (std::size_t on_the_way = queue; on_the_way != TenantTree::kRoot;) {
      const Line& side = lines_[on_the_way];
      const Line& above = lines_[tenants_[on_the_way].parent];
      if (above.claiming_below > side.claiming) return true;
      if (above.passing_below > side.passing && !is_within(on_the_way)) return true;
      on_the_way = tenants_[on_the_way].parent;
    }
    return false;
  }
  /// The job of another queue that was first to keep this one back; null: none.
  const Job* first_before(std::size_t queue) const;
  /// Those that keep back what is below this queue, the first few.
  std::vector<const Job*> blockers(std::size_t queue) const;
  /// Which jobs of other queues keep this one back; shares are left to the caller. None: none do.
  std::optional<TurnFacts> describe_turn(const Job& job) const;

 private:
  struct Line {
    std::size_t keeping_back = 0;  ///< jobs that keep back what is below this queue
    std::vector<const Job*> some;  ///< of these, the first few of each queue
    std::size_t own = 0;           ///< jobs of this queue that keep others back
    std::size_t passing = 0;       ///< jobs below that keep back what is below its parent too
    std::size_t claiming = 0;      ///< of these, those whose claim counts here
    std::size_t passing_below = 0, claiming_below = 0;  ///< the same of its children
  };
  /// Jobs of other queues that keep this one back.
  std::size_t count_others(std::size_t queue) const;

  const TenantTree& tenants_;
  std::vector<Line> lines_;
};

}  // namespace ds::scheduler
