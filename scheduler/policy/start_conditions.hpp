#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/policy/plan.hpp"

namespace ds::scheduler {

/// A job that another waits for.
struct Dependency {
  std::string job;
  std::string state;  ///< as the interface spells it
};

/// What may keep a job from having workers, whatever is free.
struct StartConditions {
  bool is_paused = false;              ///< by its owner
  std::vector<Dependency> unfinished;  ///< jobs that must succeed first and have not
  std::int64_t begins_ms = 0, now_ms = 0;
};

/// The code of why a job waits that has a moment to begin at, and that it begins then at the earliest, in
/// words.
inline constexpr const char* kBeginTimeCode = "begin_time";
std::string begin_time_text(std::int64_t begins_ms);

/// Why the job may have none now, the most decisive first; none: it may. Pure.
std::vector<Reason> explain_holds(const std::string& job, const StartConditions& conditions);

}  // namespace ds::scheduler
