#include "scheduler/policy/role_placement.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace ds::scheduler {
namespace {

Lease lease(std::uint64_t worker, std::string job, std::string node, Role role, bool releasing = false) {
  return {worker, std::move(job), std::move(node), role == Role::worker ? 1U : 0U, 0, releasing, role};
}

const std::vector<NodeView> kNodes{{"a", 4, 0, true}, {"b", 4, 0, true}, {"c", 4, 0, false}};

TEST(RolePlacement, PutsCopiesOnDifferentNodesAndNoneOnOneThatIsNotAvailable) {
  const std::vector<Lease> leases{lease(1, "j", "b", Role::worker)};
  const auto placed = place_roles(kNodes, leases, std::vector<RoleDemand>{{"j", Role::server, 3}});
  const std::vector<RolePlacement> expected{
      {"j", Role::server, "b"}, {"j", Role::server, "a"}, {"j", Role::server, "b"}};
  EXPECT_EQ(placed, expected);
}

TEST(RolePlacement, WaitsForTheFirstWorker) {
  const std::vector<RoleDemand> demands{{"j", Role::shard, 2}};
  EXPECT_TRUE(place_roles(kNodes, {}, demands).empty());
  const std::vector<Lease> leaving{lease(1, "j", "a", Role::worker, true)};
  EXPECT_TRUE(place_roles(kNodes, leaving, demands).empty());
}

TEST(RolePlacement, ReplacesOneThatLeavesElsewhere) {
  const std::vector<Lease> leases{lease(1, "j", "a", Role::worker), lease(2, "j", "a", Role::server, true),
                                  lease(3, "j", "b", Role::server), lease(4, "other", "a", Role::server)};
  const auto placed = place_roles(kNodes, leases, std::vector<RoleDemand>{{"j", Role::server, 2}});
  EXPECT_EQ(placed, (std::vector<RolePlacement>{{"j", Role::server, "a"}}));
}

TEST(RolePlacement, GivesEveryJobWithAWorkerJustWhatItLacks) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<NodeView> nodes;
    for (std::uint32_t i = 0; i < 1 + random() % 4; ++i)
      nodes.push_back({"n" + std::to_string(i), 4, 0, i == 0 || random() % 3 != 0});
    std::vector<Lease> leases;
    std::vector<RoleDemand> demands;
    for (const char* job : {"p", "q"}) {
      for (std::uint32_t i = 0; i < random() % 8; ++i) {
        leases.push_back(lease(leases.size() + 1, job, nodes[random() % nodes.size()].id,
                               kRoles[random() % kRoles.size()], random() % 4 == 0));
      }
      demands.push_back({job, Role::server, static_cast<std::uint32_t>(random() % 5)});
    }
    const auto placed = place_roles(nodes, leases, demands);
    EXPECT_EQ(placed, place_roles(nodes, leases, demands));
    for (const RoleDemand& demand : demands) {
      const auto live = [&](Role role) {
        return std::ranges::count_if(leases, [&](const Lease& one) {
          return one.job == demand.job && one.role == role && !one.releasing;
        });
      };
      const auto got = std::ranges::count(placed, demand.job, &RolePlacement::job);
      const auto lacks = std::max<std::ptrdiff_t>(0, demand.count - live(Role::server));
      EXPECT_EQ(got, live(Role::worker) == 0 ? 0 : lacks);
    }
    for (const RolePlacement& one : placed)
      EXPECT_TRUE(std::ranges::find(nodes, one.node, &NodeView::id)->available);
  }
}

}  // namespace
}  // namespace ds::scheduler
