#include "scheduler/policy/elastic/node_packing.hpp"

#include <gtest/gtest.h>

#include <random>

#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::scheduler {
namespace {

std::vector<Slots> pack(std::vector<std::uint32_t> nodes, const std::vector<Slots>& had,
                        const std::vector<std::uint32_t>& counts) {
  ElasticCluster cluster;
  cluster.slots = std::move(nodes);
  std::vector<ElasticJob> jobs(had.size());
  for (std::size_t i = 0; i < had.size(); ++i) {
    jobs[i].id = static_cast<std::uint32_t>(i);
    jobs[i].slots = had[i];
  }
  return pack_nodes(cluster, jobs, counts);
}

TEST(NodePacking, KeepsWhatIsNotInTheWay) {
  const std::vector<Slots> had{{0, 0}, {1}, {2, 2, 2, 2}};
  EXPECT_EQ(pack({4, 4, 4}, had, {2, 1, 4}), had);
}

TEST(NodePacking, MovesTheFewestSlotsForAWholeNode) {
  EXPECT_EQ(pack({4, 4}, {{0, 0}, {1}, {}}, {2, 1, 4}), (std::vector<Slots>{{0, 0}, {0}, {1, 1, 1, 1}}));
}

TEST(NodePacking, BringsASplitJobTogether) {
  EXPECT_EQ(pack({4, 4}, {{0, 1}, {0, 0}}, {2, 2}), (std::vector<Slots>{{0, 0}, {0, 0}}));
}

TEST(NodePacking, SplitsAJobOnlyWhenItMust) {
  EXPECT_EQ(pack({3, 3}, {{0, 0}, {1, 1}, {}}, {2, 2, 2}).at(2), (Slots{0, 1}));
}

TEST(NodePacking, NeverSplitsHalvesOfNodesWhateverWasThereBefore) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    ElasticCluster cluster;
    cluster.slots.assign(pick(1, 10), 1U << pick(0, 3));
    const std::uint32_t size = cluster.slots.front();
    std::vector<ElasticJob> jobs;
    std::vector<std::uint32_t> counts;
    FreeSlots before(cluster);
    for (std::uint32_t left = cluster.total(); left > 0;) {
      std::uint32_t count = 1U << pick(0, 3);
      if (count > size) count = size * pick(1, 3);
      if (count > left || pick(0, 9) == 0) break;
      left -= count;
      ElasticJob job;
      job.id = static_cast<std::uint32_t>(jobs.size());
      const std::uint32_t had = pick(0, 1) == 0 ? count : pick(0, 5);
      if (had <= before.total())
        job.slots = pick(0, 1) == 0 ? before.take_emptiest(had) : before.take_packed(had);
      jobs.push_back(std::move(job));
      counts.push_back(count);
    }
    const auto plan = pack_nodes(cluster, jobs, counts);
    FreeSlots free(cluster);
    for (std::size_t i = 0; i < plan.size(); ++i) {
      ASSERT_EQ(plan[i].size(), counts[i]) << "seed " << seed << " job " << i;
      EXPECT_EQ(count_nodes(plan[i]), (counts[i] + size - 1) / size) << "seed " << seed << " job " << i;
      ASSERT_TRUE(free.fits(plan[i])) << "seed " << seed << " job " << i;
      free.take(plan[i]);
    }
  }
}

}  // namespace
}  // namespace ds::scheduler
