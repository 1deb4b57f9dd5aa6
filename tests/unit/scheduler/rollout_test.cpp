// How replicas move from one version of a model to another.
#include "scheduler/policy/rollout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>
#include <set>

#include "scheduler/policy/known_replicas.hpp"
#include "scheduler/policy/rollout_room.hpp"
#include "scheduler/policy/version_trial.hpp"

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

TEST(Rollout, KeepsTheLastOfAPartOfTheRequestsUntilItsNextVersionIsReady) {
  // Two parts: 1 becomes 3, 2 becomes 4.
  const std::vector<VersionMove> moves{{3, 1}, {4, 2}};
  const VersionCounts wanted{{3, 2}, {4, 1}};
  std::vector<RolloutReplica> replicas{{1, 1, State::ready}, {2, 1, State::ready}, {3, 2, State::ready}};
  EXPECT_EQ(choose_leaving(wanted, replicas, false, moves), std::vector<std::uint64_t>{2})
      << "the newest is the only one of its part";
  replicas[1] = {4, 3, State::ready};
  EXPECT_EQ(choose_leaving(wanted, replicas, false, moves), std::vector<std::uint64_t>{1})
      << "3 is ready and takes the place of 1";
  const std::vector<RolloutReplica> lasts{{1, 1, State::ready}, {3, 2, State::ready}};
  EXPECT_TRUE(choose_leaving({{3, 1}, {4, 1}}, lasts, false, moves).empty()) << "they wait for a slot";
  replicas = {{1, 1, State::ready}, {3, 2, State::ready}, {4, 3, State::ready}};
  EXPECT_EQ(choose_leaving({{3, 1}, {4, 1}}, replicas, true, moves), std::vector<std::uint64_t>{1});
}

TEST(Rollout, LetsTheLastOfAPartGoWhereNoneMoreMayCome) {
  const std::vector<RolloutReplica> lasts{{1, 1, State::ready}, {2, 2, State::ready}};
  const std::vector<VersionMove> to_one{{3, 1}, {3, 2}};
  EXPECT_EQ(choose_leaving({{3, 1}}, lasts, true, to_one), std::vector<std::uint64_t>{2});
}

TEST(RolloutRoom, LetsNobodyElseLeaveUntilTheSlotOfTheLastIsTaken) {
  using std::chrono::seconds;
  RolloutRoom room;
  EXPECT_TRUE(room.has_room({4, 4, false, true}, seconds(1)));
  EXPECT_FALSE(room.has_room({4, 4, false, true}, seconds(4))) << "nothing has come";
  room.on_gave_way(3);
  EXPECT_TRUE(room.has_room({3, 4, true, true}, seconds(5)));
  EXPECT_TRUE(room.has_room({3, 4, true, true}, seconds(50))) << "it has not left yet";
  EXPECT_TRUE(room.has_room({3, 4, false, true}, seconds(60)));
  EXPECT_TRUE(room.has_room({3, 4, false, true}, seconds(99))) << "another job took its slot";
  EXPECT_TRUE(room.has_room({4, 4, false, true}, seconds(100))) << "another has come";
  EXPECT_TRUE(room.has_room({4, 4, false, true}, seconds(102)));
  EXPECT_FALSE(room.has_room({4, 4, false, true}, seconds(104)));
}

TEST(RolloutRoom, SeesAfterARestartOfTheHeadThatOneIsLeaving) {
  using std::chrono::seconds;
  RolloutRoom room;
  for (int at = 0; at < 60; ++at) EXPECT_TRUE(room.has_room({3, 4, true, true}, seconds(at)));
  EXPECT_TRUE(room.has_room({3, 4, false, true}, seconds(61))) << "its slot has only just got free";
}

TEST(RolloutRoom, ForgetsWhoGaveWayWhenFewerAreWanted) {
  using std::chrono::seconds;
  RolloutRoom room;
  room.on_gave_way(2);
  EXPECT_TRUE(room.has_room({2, 3, false, true}, seconds(10)));
  EXPECT_TRUE(room.has_room({2, 2, false, true}, seconds(20)));
  EXPECT_FALSE(room.has_room({2, 2, false, true}, seconds(23)));
}

TEST(VersionTrial, GivesAVersionUpAtOnceWhenNobodyElseServes) {
  VersionTrial trial;
  EXPECT_TRUE(trial.on_crash(2, false)) << "requests wait";
  EXPECT_FALSE(trial.on_crash(3, true));
  EXPECT_FALSE(trial.on_crash(3, true));
  EXPECT_TRUE(trial.on_crash(3, true));
  EXPECT_EQ(trial.crashes(3), 3U);
  EXPECT_FALSE(trial.on_crash(4, true, 2));
  EXPECT_TRUE(trial.on_crash(4, true, 2)) << "as often as its job allows";
}

TEST(VersionTrial, GivesAVersionUpWhoseReplicasCrashAfterTheyWereReady) {
  VersionTrial trial;
  trial.on_ready(2);
  EXPECT_FALSE(trial.on_crash(2, false)) << "it has served: one crash may be chance";
  trial.on_ready(2);
  EXPECT_FALSE(trial.on_crash(2, true));
  trial.on_ready(2);
  EXPECT_TRUE(trial.on_crash(2, false)) << "that the next gets ready makes up for nothing";
  VersionTrial shared;
  shared.on_ready(2);
  for (const std::uint64_t version : {1, 2, 1, 2, 1, 2})
    EXPECT_FALSE(shared.on_crash(version, true) && version == 2) << "the others die of the same requests";
}

TEST(VersionTrial, IsPassedByServingLongEnoughWithoutACrash) {
  using namespace std::chrono_literals;
  VersionTrial trial;
  trial.on_ready(2);
  trial.look(2, true, 10s);
  trial.look(2, true, 110s);
  EXPECT_FALSE(trial.has_passed(2));
  trial.look(2, false, 120s);
  trial.look(2, true, 600s);
  trial.look(2, true, 610s);
  EXPECT_FALSE(trial.has_passed(2)) << "time in which it sleeps doesn't count";
  trial.look(2, true, 620s);
  EXPECT_TRUE(trial.has_passed(2));
  trial.on_crash(2, true);
  EXPECT_FALSE(trial.has_passed(2)) << "it begins anew";
  EXPECT_FALSE(trial.has_passed(3));
}

/// Replicas that start, get ready, die and leave as they please while versions and sizes change and the head
/// is killed. Who leaves has its slot for a while.
class RandomWalk {
 public:
  explicit RandomWalk(std::uint64_t seed) : random_(seed), slots_(1 + pick(6)) { want(); }

  void step(bool may_disturb) {
    now_ += std::chrono::milliseconds(500);
    switch (pick(may_disturb ? 7 : 4)) {
      case 0:
        return start();
      case 1:
        return leave();
      case 2:
        return get_ready();
      case 3:
        leaving_ = 0;
        return;
      case 4:
        if (!replicas_.empty()) end(replicas_[pick(replicas_.size())].worker);
        return;
      case 5:
        return want();
      default:
        return kill_head();
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
    return known_.ready.size() == replicas_.size() && replicas_.size() == fit && (is_right || slots_ == 1);
  }

 private:
  std::uint64_t pick(std::uint64_t count) { return random_() % count; }
  VersionCounts there() const {
    VersionCounts counts;
    for (const auto& one : replicas_) ++counts[one.version];
    return counts;
  }
  /// That can take requests, whatever the head knows.
  std::uint32_t able() const {
    return static_cast<std::uint32_t>(
        std::ranges::count_if(replicas_, [this](const auto& one) { return able_.contains(one.worker); }));
  }

  void want() {
    std::vector<VersionShare> shares{{1 + pick(4), static_cast<std::uint32_t>(1 + pick(99))}};
    if (pick(3) == 0) shares.push_back({1 + pick(4), 100 - shares.front().share});
    wanted_ = share_replicas(shares, static_cast<std::uint32_t>(pick(5)));
    EXPECT_TRUE(std::ranges::all_of(wanted_, [](const auto& one) { return one.second > 0; }));
  }

  /// As the scheduler does: within what is allowed and what is free.
  void start() {
    if (replicas_.size() + leaving_ >= slots_ || replicas_.size() >= most_replicas(wanted_, there())) return;
    const auto version = next_version(wanted_, there());
    ASSERT_LT(there()[version], wanted_[version]) << "one that is not needed would be started";
    replicas_.push_back({++workers_, version, State::starting});
  }

  void leave() {
    for (auto& one : replicas_) one.state = known_.state_of(one.worker);
    const auto workers = static_cast<std::uint32_t>(replicas_.size());
    const bool lacks = workers < most_replicas(wanted_, there());
    const bool has_room = room_.has_room({workers, sum(wanted_), leaving_ > 0, lacks}, now_);
    const auto before = able();
    const auto leaving = choose_leaving(wanted_, replicas_, has_room);
    const auto left_before = leaving_;
    for (const auto worker : leaving) end(worker);
    leaving_ += leaving.size();
    if (!has_room && !leaving.empty()) room_.on_gave_way(static_cast<std::uint32_t>(replicas_.size()));
    const auto needed = std::min(before, sum(wanted_));
    if (able() < needed) {
      ASSERT_FALSE(has_room) << "requests lose a replica";
      ASSERT_EQ(able() + 1, needed) << "requests lose more than one replica";
      ASSERT_GE(able(), 1U) << "nobody serves";
      ASSERT_EQ(left_before, 0U) << "the one before has not left yet";
    }
    ASSERT_LE(replicas_.size(), most_replicas(wanted_, there())) << "the scheduler would take some away";
  }

  void get_ready() {
    if (replicas_.empty()) return;
    const auto worker = replicas_[pick(replicas_.size())].worker;
    able_.insert(worker);
    known_.unheard.erase(worker);
    known_.ready.insert(worker);
    members_ = known_.members();
  }

  void end(std::uint64_t worker) {
    std::erase_if(replicas_, [worker](const RolloutReplica& one) { return one.worker == worker; });
    known_.unheard.erase(worker);
    if (known_.ready.erase(worker) == 1) members_ = known_.members();
  }

  /// The next knows what is in the ledger.
  void kill_head() {
    known_ = {{}, {members_.begin(), members_.end()}};
    room_ = {};
  }

  std::mt19937_64 random_;
  const std::size_t slots_;
  VersionCounts wanted_;
  std::vector<RolloutReplica> replicas_;
  std::size_t leaving_ = 0;
  std::set<std::uint64_t> able_;
  KnownReplicas known_;
  std::vector<std::uint64_t> members_;
  RolloutRoom room_;
  std::chrono::milliseconds now_{0};
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
