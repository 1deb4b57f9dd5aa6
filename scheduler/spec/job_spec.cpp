#include "scheduler/spec/job_spec.hpp"

#include <algorithm>

namespace ds::scheduler {

Goal best_goal(const JobSpec& spec) {
  if (!spec.validate.metrics.empty()) return {spec.validate.metrics.front(), true};
  const auto has = [&](const char* name) {
    return std::ranges::find(spec.loss, name, &LossTerm::name) != spec.loss.end();
  };
  if (has("dice")) return {"dice", true};
  if (has("cross_entropy") || has("focal")) return {"accuracy", true};
  return {"loss", false};
}

std::string audit_folder(const std::string& directory, const std::string& job) {
  return directory + "/audit-" + job;
}

}  // namespace ds::scheduler
