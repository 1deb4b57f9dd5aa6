#include "scheduler/policy/start_conditions.hpp"

#include "scheduler/policy/wait_reasons.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::scheduler {
namespace {

Reason dependency(const std::vector<Dependency>& unfinished) {
  Reason reason{"dependency", "starts when ", {}};
  reason.text += unfinished.size() == 1 ? "job " + unfinished.front().job + " has succeeded"
                                        : std::to_string(unfinished.size()) +
                                              " jobs have succeeded, of which " + unfinished.front().job;
  reason.text += ", which is " + unfinished.front().state;
  for (const Dependency& one : unfinished) {
    if (reason.blocking.size() < kMaxBlockingJobs) reason.blocking.push_back(one.job);
  }
  reason.unnamed = unfinished.size() - reason.blocking.size();
  if (reason.unnamed > 0) reason.text += "; " + std::to_string(reason.blocking.size()) + " of them are named";
  return reason;
}

Reason begin_time(std::int64_t begins_ms, std::int64_t now_ms) {
  return {kBeginTimeCode,
          begin_time_text(begins_ms) + ", in " + std::to_string((begins_ms - now_ms + 999) / 1000) + " s",
          {}};
}

}  // namespace

std::string begin_time_text(std::int64_t begins_ms) {
  return "starts at " + to_time_text(begins_ms) + " at the earliest";
}

std::vector<Reason> explain_holds(const std::string& job, const StartConditions& conditions) {
  std::vector<Reason> reasons;
  if (conditions.is_paused)
    reasons.push_back({"held", "its owner paused it; ds-submit resume " + job + " lets it go on", {}});
  if (!conditions.unfinished.empty()) reasons.push_back(dependency(conditions.unfinished));
  if (conditions.begins_ms > conditions.now_ms)
    reasons.push_back(begin_time(conditions.begins_ms, conditions.now_ms));
  return reasons;
}

}  // namespace ds::scheduler
