#include "actors/serving/pick_replica.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

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

TEST(TrafficShares, GivesEachVersionExactlyItsShareInEachRound) {
  auto replicas = ready(1, 1);
  const auto two = ready(1, 2), three = ready(1, 3);
  replicas.insert(replicas.end(), two.begin(), two.end());
  replicas.insert(replicas.end(), three.begin(), three.end());
  TrafficShares shares;
  shares.set({{1, 70}, {2, 25}, {3, 5}});
  for (int round = 0; round < 5; ++round) {
    std::map<std::uint64_t, int> given;
    for (int i = 0; i < 100; ++i) ++given[*shares.next(replicas)];
    EXPECT_EQ(given, (std::map<std::uint64_t, int>{{1, 70}, {2, 25}, {3, 5}}));
  }
}

TEST(TrafficShares, SpreadsTheTurnsOfASmallShare) {
  auto replicas = ready(1, 1);
  replicas.push_back(ready(1, 2).front());
  TrafficShares shares;
  shares.set({{1, 9}, {2, 1}});
  int last = -10;
  for (int i = 0; i < 100; ++i) {
    if (shares.next(replicas) != 2U) continue;
    EXPECT_TRUE(last < 0 || i - last == 10);
    last = i;
  }
}

TEST(TrafficShares, GoesToTheOthersWhileAVersionHasNoReplica) {
  auto replicas = ready(2, 1);
  TrafficShares shares;
  shares.set({{1, 50}, {2, 50}, {4, 0}});
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(shares.next(replicas), 1U);
  replicas.push_back(ready(1, 2).front());
  std::map<std::uint64_t, int> given;
  for (int i = 0; i < 100; ++i) ++given[*shares.next(replicas)];
  EXPECT_EQ(given[2], 50) << "nothing is made up for";
  for (ReplicaView& replica : replicas) replica.is_draining = true;
  replicas.push_back(ready(1, 4).front());
  EXPECT_EQ(shares.next(replicas), std::nullopt) << "no weight";
}

}  // namespace
}  // namespace ds::serving
