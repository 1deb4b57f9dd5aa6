#include "scheduler/spec/job_spec.hpp"

#include <algorithm>

namespace ds::scheduler {

std::string_view to_string(JobKind kind) {
  switch (kind) {
    case JobKind::command:
      return "command";
    case JobKind::serve:
      return "serve";
    case JobKind::train:
      break;
  }
  return "train";
}

Goal best_goal(const JobSpec& spec) {
  if (!spec.validate.metrics.empty()) {
    const std::string& first = spec.validate.metrics.front();
    return {first, first != "loss"};
  }
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

std::uint32_t JobSpec::count_of(Role role) const {
  switch (role) {
    case Role::worker:
      return workers.max;
    case Role::server:
      // Copies of one range are on different servers.
      return strategy.name == "parameter_server" ? std::max(strategy.servers, strategy.replicas + 1) : 0;
    case Role::shard:
      return data.shards;
  }
  return 0;
}

}  // namespace ds::scheduler
