// What a plan costs, counted in allocations: the same on every machine, whatever else that does. A program of
// its own, since it counts those of the whole program.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

#include "scheduler/policy/planner.hpp"
#include "tests/unit/scheduler/cluster_model.hpp"

namespace {

std::size_t allocations = 0;

}  // namespace

// Not inlined: the compiler would see `free` called on what an operator gave, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ds::scheduler {
namespace {

/// By a plan for jobs of so many sizes that would all grow. There is room for the last alone, and another
/// job's worker is leaving.
std::size_t count_allocations(std::uint32_t sizes) {
  constexpr std::uint64_t kLarge = 1ULL << 20;
  testing::ClusterModel cluster;
  cluster.add_node("full", sizes + 10, 0);
  cluster.add_node("other", 1, 0);
  for (std::uint32_t i = 0; i < sizes; ++i) {
    const std::string job = "job" + std::to_string(i);
    cluster.add_job(job, {1, 2}, 1, kLarge + i);
    cluster.start_worker(job, "full");
    cluster.node("full").memory_bytes += kLarge + i;
  }
  // Larger than all others, in the order of sizes.
  cluster.add_job("last", {1, 2}, 2);
  cluster.start_worker("last", "full");
  cluster.demands.back().priority = kLowPriority;
  cluster.add_job("gone", {1, 1});
  cluster.start_worker("gone", "other");
  cluster.leases.back().releasing = true;
  cluster.demands.pop_back();
  Planner planner;
  planner.tell_all(cluster.nodes, cluster.leases, cluster.demands);
  const std::size_t before = allocations;
  const Plan plan = planner.plan();
  const std::size_t count = allocations - before;
  EXPECT_EQ(plan.placements, (std::vector<Placement>{{"last", "full", 1}}));
  EXPECT_TRUE(plan.releases.empty());
  return count;
}

TEST(PlanCost, OfGrowthWhereJobsAreOfManySizesIsAsMuchAsThereAreSizes) {
  // More sizes than are counted from plan to plan: each that is asked for is counted anew.
  const std::size_t some = count_allocations(600), many = count_allocations(2400);
  EXPECT_GT(some, 600U);
  EXPECT_LT(many, 6 * some) << "four times as many sizes; once more for each try would be sixteen times";
}

}  // namespace
}  // namespace ds::scheduler
