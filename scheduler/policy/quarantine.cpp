#include "scheduler/policy/quarantine.hpp"

#include <map>
#include <set>
#include <string_view>

namespace ds::scheduler {

std::optional<Quarantine> choose_quarantine(std::span<const EarlyCrash> crashes,
                                            const std::set<std::string, std::less<>>& already,
                                            std::int64_t now_ms) {
  std::map<std::string_view, std::set<std::string_view>> nodes_of;  // by job
  for (const EarlyCrash& crash : crashes) {
    const bool is_recent = crash.at_ms > now_ms - std::chrono::milliseconds(kQuarantineWindow).count();
    if (is_recent) nodes_of[crash.job].insert(crash.node);
  }
  std::map<std::string_view, std::set<std::string_view>> jobs_on;
  for (const auto& [job, nodes] : nodes_of) {
    if (nodes.size() == 1) jobs_on[*nodes.begin()].insert(job);
  }
  for (const auto& [node, jobs] : jobs_on) {
    if (jobs.size() < kQuarantineJobs || already.contains(node)) continue;
    std::string names;
    for (const std::string_view job : jobs) names += (names.empty() ? "" : ", ") + std::string(job);
    return Quarantine{std::string(node), "workers of " + std::to_string(jobs.size()) +
                                             " jobs crashed there soon after they had started: " + names};
  }
  return std::nullopt;
}

}  // namespace ds::scheduler
