// How replicas move from one version of a model to another.
#include "scheduler/policy/rollout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace ds::scheduler {
namespace {

using State = RolloutReplica::State;

std::uint32_t sum(const VersionCounts& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0U,
                         [](std::uint32_t all, const auto& one) { return all + one.second; });
}

TEST(Rollout, SharesReplicasByTheirPartsAndGivesEachVersionOne) {
  const std::vector<VersionShare> canary{{1, 90}, {2, 10}};
  EXPECT_EQ(share_replicas(canary, 10), (VersionCounts{{1, 9}, {2, 1}}));
  EXPECT_EQ(share_replicas(canary, 4), (VersionCounts{{1, 3}, {2, 1}}));
  EXPECT_EQ(share_replicas(canary, 1), (VersionCounts{{1, 1}, {2, 1}})) << "each is to be asked";
  EXPECT_EQ(share_replicas(canary, 0), VersionCounts{}) << "it sleeps";
  const std::vector<VersionShare> same{{3, 90}, {3, 10}};
  EXPECT_EQ(share_replicas(same, 2), (VersionCounts{{3, 2}})) << "two tags, one version";
}

TEST(Rollout, StartsOneMoreBeforeAnOldOneLeaves) {
  const VersionCounts wanted{{2, 2}};
  EXPECT_EQ(most_replicas(wanted, {{1, 2}}), 3U);
  EXPECT_EQ(next_version(wanted, {{1, 2}}), 2U);
  std::vector<RolloutReplica> replicas{{1, 1, State::ready}, {2, 1, State::ready}, {3, 2, State::starting}};
  EXPECT_TRUE(choose_leaving(wanted, replicas, true).empty());
  replicas[2].state = State::ready;
  EXPECT_EQ(choose_leaving(wanted, replicas, true), std::vector<std::uint64_t>{2});
  EXPECT_EQ(most_replicas(wanted, {{2, 2}}), 2U) << "it is through";
}

TEST(Rollout, LetsOneLeaveFirstWhereThereIsNoRoomButNeverTheLast) {
  const std::vector<RolloutReplica> two{{1, 1, State::ready}, {2, 1, State::ready}};
  EXPECT_EQ(choose_leaving({{2, 2}}, two, false), std::vector<std::uint64_t>{2});
  EXPECT_EQ(choose_leaving({{2, 3}}, two, false), std::vector<std::uint64_t>{2})
      << "more are wanted than fit";
  EXPECT_TRUE(choose_leaving({{2, 1}}, std::span(two).first(1), false).empty()) << "nobody else serves";
  EXPECT_TRUE(choose_leaving({{1, 2}}, two, false).empty()) << "nothing is to be replaced";
}

TEST(Rollout, GivesUpWhatOnlyStartsWhenItIsNotWantedAnyMore) {
  const std::vector<RolloutReplica> replicas{{1, 1, State::ready}, {2, 2, State::starting}};
  EXPECT_EQ(choose_leaving({{1, 1}}, replicas, true), std::vector<std::uint64_t>{2});
}

TEST(Rollout, KeepsReplicasThatANewHeadHasNotHeardOfUntilOthersAreReady) {
  std::vector<RolloutReplica> replicas{{1, 1, State::unheard}, {2, 2, State::starting}};
  EXPECT_TRUE(choose_leaving({{2, 1}}, replicas, true).empty());
  replicas[1].state = State::ready;
  EXPECT_EQ(choose_leaving({{2, 1}}, replicas, true), std::vector<std::uint64_t>{1});
}

/// Replicas that start, get ready, die and leave as they please while versions and sizes change.
class RandomWalk {
 public:
  explicit RandomWalk(std::uint64_t seed) : random_(seed), slots_(1 + pick(6)) { want(); }

  void step(bool may_disturb) {
    switch (pick(may_disturb ? 6 : 3)) {
      case 0:
        return start();
      case 1:
        return leave();
      case 2:
        return get_ready();
      case 3:
        if (!replicas_.empty())
          replicas_.erase(replicas_.begin() + static_cast<std::ptrdiff_t>(pick(replicas_.size())));
        return;
      case 4:
        return want();
      default:
        for (auto& one : replicas_) {
          if (one.state == State::ready && pick(2) == 0) one.state = State::unheard;
        }
    }
  }

  /// All that fit are ready, and none is of a version that is not wanted.
  bool is_through() const {
    const auto fit = std::min<std::size_t>(slots_, sum(wanted_));
    const auto counts = there();
    const bool is_right = std::ranges::all_of(counts, [this](const auto& one) {
      const auto found = wanted_.find(one.first);
      return found != wanted_.end() && one.second <= found->second;
    });
    return ready() == replicas_.size() && replicas_.size() == fit && (is_right || slots_ == 1);
  }

 private:
  std::uint64_t pick(std::uint64_t count) { return random_() % count; }
  VersionCounts there() const {
    VersionCounts counts;
    for (const auto& one : replicas_) ++counts[one.version];
    return counts;
  }
  std::uint32_t ready() const {
    return static_cast<std::uint32_t>(std::ranges::count(replicas_, State::ready, &RolloutReplica::state));
  }

  void want() {
    std::vector<VersionShare> shares{{1 + pick(4), static_cast<std::uint32_t>(1 + pick(99))}};
    if (pick(3) == 0) shares.push_back({1 + pick(4), 100 - shares.front().share});
    wanted_ = share_replicas(shares, static_cast<std::uint32_t>(pick(5)));
    EXPECT_TRUE(std::ranges::all_of(wanted_, [](const auto& one) { return one.second > 0; }));
  }

  /// As the scheduler does: within what is allowed and what is free.
  void start() {
    if (replicas_.size() >= slots_ || replicas_.size() >= most_replicas(wanted_, there())) return;
    const auto version = next_version(wanted_, there());
    ASSERT_LT(there()[version], wanted_[version]) << "one that is not needed would be started";
    replicas_.push_back({++workers_, version, State::starting});
  }

  void leave() {
    const bool has_room = replicas_.size() < slots_;
    const auto before = ready();
    const auto leaving = choose_leaving(wanted_, replicas_, has_room);
    for (const auto worker : leaving)
      std::erase_if(replicas_, [worker](const RolloutReplica& one) { return one.worker == worker; });
    const auto needed = std::min(before, sum(wanted_));
    if (has_room || needed <= 1) {
      ASSERT_GE(ready(), needed) << "requests lose a replica";
    } else {
      ASSERT_GE(ready() + 1, needed) << "requests lose more than one replica";
    }
    ASSERT_LE(replicas_.size(), most_replicas(wanted_, there())) << "the scheduler would take some away";
  }

  void get_ready() {
    if (!replicas_.empty()) replicas_[pick(replicas_.size())].state = State::ready;
  }

  std::mt19937_64 random_;
  const std::size_t slots_;
  VersionCounts wanted_;
  std::vector<RolloutReplica> replicas_;
  std::uint64_t workers_ = 0;
};

TEST(Rollout, NeverTakesAReplicaFromTheRequestsAndComesToItsEnd) {
  for (std::uint64_t seed = 1; seed <= 3000 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomWalk walk(seed);
    for (int i = 0; i < 60; ++i) walk.step(true);
    int steps = 0;
    while (!walk.is_through() && ++steps < 2000) walk.step(false);
    EXPECT_TRUE(walk.is_through());
  }
}

}  // namespace
}  // namespace ds::scheduler
