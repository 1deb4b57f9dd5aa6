#include "scheduler/policy/role_placement.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

namespace ds::scheduler {
namespace {

struct Presence {
  std::uint32_t of_role = 0;  ///< those that are leaving too: they may die with the node
  std::uint32_t workers = 0;
};

}  // namespace

std::vector<RolePlacement> place_roles(std::span<const NodeView> nodes, std::span<const Lease> leases,
                                       std::span<const RoleDemand> demands) {
  std::vector<RolePlacement> placements;
  for (const RoleDemand& demand : demands) {
    std::map<std::string_view, Presence> on;
    std::uint32_t workers = 0, live = 0;
    for (const Lease& lease : leases) {
      if (lease.job != demand.job) continue;
      if (lease.role == Role::worker && !lease.releasing) ++workers, ++on[lease.node].workers;
      if (lease.role == demand.role) ++on[lease.node].of_role, live += lease.releasing ? 0 : 1;
    }
    if (workers == 0) continue;
    for (; live < demand.count; ++live) {
      const NodeView* best = nullptr;
      const auto rank = [&](const NodeView& node) {
        return std::tuple(on[node.id].of_role, -static_cast<std::int64_t>(on[node.id].workers));
      };
      for (const NodeView& node : nodes) {
        if (node.available && (best == nullptr || rank(node) < rank(*best))) best = &node;
      }
      if (best == nullptr) break;
      ++on[best->id].of_role;
      placements.push_back({demand.job, demand.role, best->id});
    }
  }
  return placements;
}

}  // namespace ds::scheduler
