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
