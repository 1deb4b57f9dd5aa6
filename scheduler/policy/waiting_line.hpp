#pragma once

#include <cstddef>
#include <cstdint>
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

  /// `keeps_back`: the job's queue or one above it.
  void add(const Job& job, std::size_t keeps_back);

  bool is_behind(std::size_t queue) const;
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
  };
  /// Jobs of other queues that keep this one back.
  std::size_t count_others(std::size_t queue) const;

  const TenantTree& tenants_;
  std::vector<Line> lines_;
};

}  // namespace ds::scheduler
