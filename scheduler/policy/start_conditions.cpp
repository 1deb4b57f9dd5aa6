#include "scheduler/policy/start_conditions.hpp"

namespace ds::scheduler {

std::vector<Reason> explain_holds(const std::string& job, const StartConditions& conditions) {
  std::vector<Reason> reasons;
  if (conditions.is_paused)
    reasons.push_back({"held", "its owner paused it; ds-submit resume " + job + " lets it go on", {}});
  return reasons;
}

}  // namespace ds::scheduler
