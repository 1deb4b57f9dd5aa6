#pragma once

#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// What may keep a job from having workers, whatever is free.
struct StartConditions {
  bool is_paused = false;  ///< by its owner
};

/// Why the job may have none now, the most decisive first; none: it may. Pure.
std::vector<Reason> explain_holds(const std::string& job, const StartConditions& conditions);

}  // namespace ds::scheduler
