#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/wait_reasons.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// The jobs that wait in a plan so far and keep later ones from starting: each those below one queue.
class WaitingLine {
 public:
  using Job = GangPlanner::Job;

  explicit WaitingLine(const TenantTree& tenants) : tenants_(tenants), lines_(tenants.queues.size()) {}

  /// `keeps_back`: the job's queue or one above it.
  void add(const Job& job, std::size_t keeps_back);

  bool is_behind(std::size_t queue) const;
  /// The job of another queue that was first to keep this one back; null: none.
  const Job* first_before(std::size_t queue) const;
  /// Says who keeps the job back; shares are left to the caller.
  void describe(const Job& job, WaitFacts& facts) const;

 private:
  struct Line {
    std::size_t keeping_back = 0;  ///< jobs that keep back what is below this queue
    std::vector<const Job*> some;  ///< of these, the first few of each queue
    std::vector<const Job*> own;   ///< jobs of this queue that wait, the most urgent first
  };
  /// Jobs of other queues that keep this one back.
  std::size_t count_others(std::size_t queue) const;

  const TenantTree& tenants_;
  std::vector<Line> lines_;
};

}  // namespace ds::scheduler
