#include "scheduler/policy/packing/packing_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace ds::scheduler {
namespace {

PackingNode make_node(std::uint32_t cpu_milli, std::vector<std::uint32_t> gpu_milli, std::uint32_t type = 0) {
  return {.cpu_milli = cpu_milli, .memory_mib = 65536, .gpu_type = type, .gpu_milli = std::move(gpu_milli)};
}

PackingDemand make_demand(std::uint32_t cpu_milli, std::uint32_t gpus, std::uint32_t gpu_milli = kWholeGpu) {
  return {.cpu_milli = cpu_milli, .memory_mib = 1024, .gpus = gpus, .gpu_milli = gpu_milli};
}

/// The reference: every set of GPUs would do that has as many with as much free.
bool is_possible(const PackingNode& node, const PackingDemand& demand,
                 const std::vector<std::uint32_t>& gpus) {
  if (node.cpu_milli < demand.cpu_milli || node.memory_mib < demand.memory_mib) return false;
  if (gpus.size() != demand.gpus) return false;
  if (demand.gpus > 0 && (demand.gpu_types & (std::uint64_t{1} << node.gpu_type)) == 0) return false;
  return std::all_of(gpus.begin(), gpus.end(), [&](std::uint32_t gpu) {
    return gpu < node.gpu_milli.size() && node.gpu_milli[gpu] >= demand.gpu_milli &&
           std::count(gpus.begin(), gpus.end(), gpu) == 1;
  });
}

bool has_room(const PackingNode& node, const PackingDemand& demand) {
  std::vector<std::uint32_t> gpus;
  for (std::uint32_t gpu = 0; gpu < node.gpu_milli.size() && gpus.size() < demand.gpus; ++gpu) {
    if (node.gpu_milli[gpu] >= demand.gpu_milli) gpus.push_back(gpu);
  }
  return is_possible(node, demand, gpus);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : random_(seed) {}
  std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(random_);
  }
  PackingDemand demand() {
    PackingDemand demand{.cpu_milli = 1000 * pick(0, 8), .memory_mib = 1024 * pick(0, 16)};
    demand.gpus = std::max(pick(0, 6), 2U) - 2;  // none half of the time
    if (demand.gpus == 1 && pick(0, 1) == 0) demand.gpu_milli = 100 * pick(1, 9);
    if (pick(0, 3) == 0) demand.gpu_types = pick(1, 3);
    return demand;
  }

 private:
  std::mt19937_64 random_;
};

TEST(PackingPolicies, GiveOnlyWhatIsFreeAndRefuseOnlyWhatFitsNowhere) {
  for (const PackingPolicyEntry& entry : list_packing_policies()) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      Random random(seed);
      std::vector<PackingNode> nodes(random.pick(1, 6));
      for (PackingNode& node : nodes)
        node = make_node(1000 * random.pick(1, 32), std::vector(random.pick(0, 4), kWholeGpu),
                         random.pick(0, 1));
      const auto policy = entry.make(seed);
      const auto twin = entry.make(seed);
      for (int i = 0; i < 60; ++i) {
        const PackingDemand demand = random.demand();
        const bool any =
            std::any_of(nodes.begin(), nodes.end(), [&](const auto& n) { return has_room(n, demand); });
        const auto place = policy->choose(nodes, demand);
        EXPECT_EQ(place, twin->choose(nodes, demand)) << entry.name << " seed " << seed << " job " << i;
        ASSERT_EQ(place.has_value(), any) << entry.name << " seed " << seed << " job " << i;
        if (!place) continue;
        ASSERT_LT(place->node, nodes.size());
        ASSERT_TRUE(is_possible(nodes[place->node], demand, place->gpus))
            << entry.name << " seed " << seed << " job " << i;
        const std::uint32_t before = nodes[place->node].free_gpu_milli();
        take(nodes[place->node], demand, place->gpus);
        EXPECT_EQ(before - nodes[place->node].free_gpu_milli(), demand.gpus * demand.gpu_milli);
      }
    }
  }
}

TEST(PackingPolicies, BestFitTakesTheFullestNodeAndTheTightestGpu) {
  const auto policy = find_packing_policy("best_fit")->make(0);
  const std::vector nodes{make_node(32000, {1000, 1000}), make_node(16000, {500, 700}),
                          make_node(16000, {300, 1000})};
  EXPECT_EQ(policy->choose(nodes, make_demand(1000, 1, 400)), (Place{1, {0}}));
  EXPECT_EQ(policy->choose(nodes, make_demand(1000, 1, 600)), (Place{1, {1}}));
  EXPECT_EQ(policy->choose(nodes, make_demand(1000, 1)), (Place{2, {1}}));
  EXPECT_EQ(policy->choose(nodes, make_demand(20000, 0)), (Place{0, {}}));
}

TEST(PackingPolicies, RandomTakesEveryPossiblePlaceSometimes) {
  const auto policy = find_packing_policy("random")->make(7);
  const std::vector nodes{make_node(8000, {1000, 1000}), make_node(8000, {100}),
                          make_node(8000, {900, 1000, 900})};
  std::map<std::pair<std::size_t, std::uint32_t>, int> taken;
  for (int i = 0; i < 1000; ++i) {
    const auto place = policy->choose(nodes, make_demand(1000, 1, 800));
    ASSERT_TRUE(place);
    ++taken[{place->node, place->gpus.at(0)}];
  }
  ASSERT_EQ(taken.size(), 5U);
  for (const auto& [place, times] : taken) {
    const double even = place.first == 0 ? 250 : 1000 / 6.0;
    EXPECT_NEAR(times, even, 60) << place.first << "/" << place.second;
  }
}

/// `ds` once it knows what usually comes.
class DsPacking : public ::testing::Test {
 protected:
  void see(const PackingDemand& demand, int times) {
    for (int i = 0; i < times; ++i) static_cast<void>(policy_->choose(nodes_, demand));
  }
  std::optional<Place> choose(const PackingDemand& demand) { return policy_->choose(nodes_, demand); }

  std::vector<PackingNode> nodes_;
  std::unique_ptr<PackingPolicy> policy_ = find_packing_policy("ds")->make(0);
};

TEST_F(DsPacking, KeepsTheCpuThatGpusNeed) {
  // The first has just the CPU for its GPU, the second has CPU to spare.
  nodes_ = {make_node(12000, {1000}), make_node(100000, {1000})};
  see(make_demand(10000, 1), 100);
  see(make_demand(10000, 0), 10);
  EXPECT_EQ(choose(make_demand(10000, 0)), (Place{1, {}}));
}

TEST_F(DsPacking, KeepsWholeGpusForThoseThatNeedThem) {
  nodes_ = {make_node(100000, {1000, 500}), make_node(100000, {400})};
  see(make_demand(1000, 1), 100);
  EXPECT_EQ(choose(make_demand(1000, 1, 500)), (Place{0, {1}}));
  EXPECT_EQ(choose(make_demand(1000, 1, 400)), (Place{1, {0}}));
  EXPECT_EQ(choose(make_demand(1000, 1, 600)), (Place{0, {0}}));
}

TEST_F(DsPacking, LeavesWhatPartsToComeFillToTheEnd) {
  // Beside 300 on a whole GPU 700 would fit, and come; beside 300 on what has 600 only 300 more of a kind
  // that is rare.
  nodes_ = {make_node(100000, {600}), make_node(100000, {1000})};
  see(make_demand(1000, 1, 700), 100);
  see(make_demand(1000, 1, 600), 100);
  EXPECT_EQ(choose(make_demand(1000, 1, 300)), (Place{1, {0}}));
}

TEST_F(DsPacking, KeepsGpusOfAKindForThoseThatNeedIt) {
  nodes_ = {make_node(100000, {1000}, 0), make_node(100000, {1000}, 1)};
  PackingDemand picky = make_demand(1000, 1);
  picky.gpu_types = 1;
  PackingDemand small = make_demand(1000, 1, 300);
  small.gpu_types = 2;
  see(picky, 100);
  see(small, 100);
  // 700 are left for small ones on the second; all would be lost to the picky ones on the first.
  EXPECT_EQ(choose(make_demand(1000, 1, 400)), (Place{1, {0}}));
}

}  // namespace
}  // namespace ds::scheduler
