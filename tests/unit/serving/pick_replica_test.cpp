#include "actors/serving/pick_replica.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace ds::serving {
namespace {

std::vector<ReplicaView> ready(std::size_t count, std::uint64_t version = 1) {
  std::vector<ReplicaView> replicas;
  for (std::uint64_t id = 0; id < count; ++id)
    replicas.push_back({id + 10 * version, version, 0, true, false});
  return replicas;
}

TEST(PickReplica, TakesTheLessLoadedOfTwo) {
  auto replicas = ready(2);
  replicas[0].outstanding = 3;
  for (std::uint64_t random = 0; random < 100; ++random)
    EXPECT_EQ(pick_replica(replicas, 1, {}, random), 11U);
}

TEST(PickReplica, LeavesOutWhatCannotServe) {
  auto replicas = ready(5);
  replicas[0].is_ready = false;
  replicas[1].is_draining = true;
  replicas[2].version = 2;
  const std::vector<std::uint64_t> tried{13};
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pick_replica(replicas, 1, tried, random()), 14U);
  EXPECT_EQ(pick_replica(replicas, 1, std::vector<std::uint64_t>{13, 14}, random()), std::nullopt);
  EXPECT_EQ(pick_replica(replicas, 3, {}, random()), std::nullopt);
  EXPECT_EQ(pick_replica({}, 1, {}, 0), std::nullopt);
}

TEST(PickReplica, ChoosesEachPairOfReplicasEquallyOften) {
  auto replicas = ready(4);
  std::mt19937_64 random(2);
  std::map<std::uint64_t, int> picked;
  for (int i = 0; i < 40'000; ++i) ++picked[*pick_replica(replicas, 1, {}, random())];
  for (const auto& [id, times] : picked) EXPECT_NEAR(times, 10'000, 500) << id;
  replicas[3].outstanding = 9;  // chosen only when it met itself, which never happens
  for (int i = 0; i < 10'000; ++i) EXPECT_NE(pick_replica(replicas, 1, {}, random()), 13U);
}

TEST(PickReplica, KeepsLoadsNearTheMean) {
  auto replicas = ready(50);
  std::mt19937_64 random(3);
  const auto find = [&](std::uint64_t id) { return std::ranges::find(replicas, id, &ReplicaView::id); };
  for (int i = 0; i < 50 * 20; ++i) ++find(*pick_replica(replicas, 1, {}, random()))->outstanding;
  const auto fullest = std::ranges::max(replicas, {}, &ReplicaView::outstanding);
  EXPECT_LE(fullest.outstanding, 23U) << "of a mean of 20; one random choice leads to over 30";
}

}  // namespace
}  // namespace ds::serving
