#include "actors/shard/assignment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace ds::shard {
namespace {

std::vector<std::uint64_t> some_shards(std::mt19937_64& random, std::size_t count) {
  std::set<std::uint64_t> shards;
  while (shards.size() < count) shards.insert(1 + random() % 1'000'000);
  return {shards.begin(), shards.end()};
}

std::size_t moved(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

TEST(RankAssignment, GivesEveryRankOneOfTheShardsAndNoShardMoreThanItsShare) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    const auto ranks = static_cast<std::uint32_t>(1 + random() % 100);
    const auto shards = some_shards(random, 1 + random() % 40);
    const auto owners = assign_ranks(ranks, shards);
    ASSERT_EQ(owners.size(), ranks);
    std::map<std::uint64_t, std::size_t> loads;
    for (const std::uint64_t owner : owners) {
      EXPECT_TRUE(std::ranges::binary_search(shards, owner));
      ++loads[owner];
    }
    for (const auto& [shard, load] : loads)
      EXPECT_LE(load, (ranks + shards.size() - 1) / shards.size()) << ranks << " over " << shards.size();
  }
}

TEST(RankAssignment, DoesNotDependOnTheOrderInWhichShardsAreNamed) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 100; ++round) {
    auto shards = some_shards(random, 1 + random() % 20);
    const auto owners = assign_ranks(33, shards);
    std::ranges::shuffle(shards, random);
    EXPECT_EQ(assign_ranks(33, shards), owners);
  }
}

TEST(RankAssignment, MovesFewRanksWhenAShardComesOrGoes) {
  std::mt19937_64 random(3);
  double all = 0, least = 0;
  for (int round = 0; round < 200; ++round) {
    const std::size_t count = 2 + random() % 15;
    auto shards = some_shards(random, count);
    const auto before = assign_ranks(64, shards);
    shards.erase(shards.begin() + static_cast<std::ptrdiff_t>(random() % count));
    const std::size_t moves = moved(before, assign_ranks(64, shards));
    // Going there and coming back is the same set.
    all += static_cast<double>(moves);
    least += 64.0 / static_cast<double>(count);
    EXPECT_LT(moves, 64U);
  }
  EXPECT_LT(all, 2.5 * least) << "a shard that goes should hardly move the ranks of others";
}

TEST(RankAssignment, GivesNothingWithoutShards) {
  EXPECT_TRUE(assign_ranks(5, {}).empty());
}

}  // namespace
}  // namespace ds::shard
