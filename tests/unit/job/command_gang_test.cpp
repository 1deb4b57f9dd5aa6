#include "actors/job/command_gang.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

namespace ds::job {
namespace {

using Numbers = std::vector<std::uint64_t>;

template <class T>
std::vector<T> of_kind(const CommandActions& actions) {
  std::vector<T> found;
  for (const auto& action : actions) {
    if (const auto* one = std::get_if<T>(&action)) found.push_back(*one);
  }
  return found;
}

template <class T>
Numbers workers_of(const CommandActions& actions) {
  Numbers workers;
  for (const auto& one : of_kind<T>(actions)) workers.push_back(one.worker);
  return workers;
}

std::vector<CommandLease> leases(const Numbers& workers, const Numbers& releasing = {}) {
  std::vector<CommandLease> all;
  for (const auto worker : workers) all.push_back({worker, worker % 2 == 1 ? "odd" : "even", false});
  for (const auto worker : releasing) all.push_back({worker, worker % 2 == 1 ? "odd" : "even", true});
  return all;
}

/// A gang whose processes all run.
CommandGang running_gang(const Numbers& workers, std::uint32_t min_workers = 1) {
  CommandGang gang({});
  const auto recorded = of_kind<RecordCommand>(gang.set_leases(leases(workers), min_workers));
  EXPECT_EQ(recorded.size(), 1U);
  gang.on_recorded(recorded.front().generation);
  for (const auto worker : recorded.front().members) gang.on_started(worker, gang.generation(), 11'000);
  EXPECT_EQ(gang.alive().size(), workers.size());
  return gang;
}

TEST(CommandGang, StartsWhenItsMinimumIsThereAndDurable) {
  CommandGang gang({});
  EXPECT_TRUE(gang.set_leases(leases({1}), 2).empty());
  const auto recorded = of_kind<RecordCommand>(gang.set_leases(leases({1, 3}), 2));
  ASSERT_EQ(recorded.size(), 1U);
  EXPECT_EQ(recorded[0].members, (Numbers{1, 3}));
  EXPECT_TRUE(gang.alive().empty());
  EXPECT_EQ(workers_of<StartProcess>(gang.on_recorded(1)), Numbers{1}) << "rank 0 alone: it has the port";
  const auto others = of_kind<StartProcess>(gang.on_started(1, gang.generation(), 12'345));
  ASSERT_EQ(others.size(), 1U);
  EXPECT_EQ(others[0].port, 12'345);
  EXPECT_EQ(of_kind<ShowRunning>(gang.on_started(3, gang.generation(), 0)).size(), 1U);
}

TEST(CommandGang, RanksFollowEachOtherOnANode) {
  CommandGang gang({});
  const auto recorded = of_kind<RecordCommand>(gang.set_leases(leases({1, 2, 3, 5}), 4));
  ASSERT_EQ(recorded.size(), 1U);
  EXPECT_EQ(recorded[0].members, (Numbers{1, 3, 5, 2}));
  const auto first = of_kind<StartProcess>(gang.on_recorded(1));
  const auto others = of_kind<StartProcess>(gang.on_started(1, gang.generation(), 1));
  ASSERT_EQ(first.size(), 1U);
  ASSERT_EQ(others.size(), 3U);
  EXPECT_EQ(first[0].place, (CommandPlace{0, 4, 0, 3, 0}));
  EXPECT_EQ(others[1].place, (CommandPlace{2, 4, 2, 3, 0}));
  EXPECT_EQ(others[2].place, (CommandPlace{3, 4, 0, 1, 1}));
  EXPECT_EQ(others[2].master, "odd");
}

TEST(CommandGang, IsDoneWhenAllRanksEndedCleanly) {
  auto gang = running_gang({1, 2});
  const auto first = gang.on_exited(2, gang.generation(), true);
  EXPECT_EQ(workers_of<RecordFinished>(first), Numbers{2});
  const auto last = gang.on_exited(1, gang.generation(), true);
  EXPECT_EQ(of_kind<CommandDone>(last).size(), 1U);
  EXPECT_TRUE(of_kind<RecordFinished>(last).empty());
}

TEST(CommandGang, StopsAllWhenOneCrashesAndWaitsForItsLeases) {
  auto gang = running_gang({1, 2, 3});
  const auto actions = gang.on_exited(2, gang.generation(), false);
  const auto crashed = of_kind<CommandCrashed>(actions);
  ASSERT_EQ(crashed.size(), 1U);
  EXPECT_EQ(crashed[0].rank, 2U);
  EXPECT_EQ(workers_of<StopProcess>(actions), (Numbers{1, 3}));
  EXPECT_TRUE(gang.set_leases(leases({}, {1, 3}), 1).empty());
  EXPECT_TRUE(of_kind<CommandCrashed>(gang.on_exited(1, gang.generation(), false)).empty())
      << "it was told to end";
  gang.set_leases(leases({}, {3}), 1);
  gang.on_exited(3, gang.generation(), true);
  const auto again = of_kind<RecordCommand>(gang.set_leases(leases({4}), 1));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].generation, 2U);
}

TEST(CommandGang, StartsAgainTogetherWhenAWorkerComes) {
  auto gang = running_gang({1, 2});
  const auto actions = gang.set_leases(leases({1, 2, 3}), 1);
  EXPECT_EQ(workers_of<StopProcess>(actions), (Numbers{1, 2}));
  EXPECT_TRUE(gang.on_exited(1, gang.generation(), false).empty());
  const auto recorded = of_kind<RecordCommand>(gang.on_exited(2, gang.generation(), false));
  ASSERT_EQ(recorded.size(), 1U);
  EXPECT_EQ(recorded[0].members, (Numbers{1, 3, 2}));
}

TEST(CommandGang, StartsAgainWithThoseThatStayWhenAWorkerMustLeave) {
  auto gang = running_gang({1, 2, 3}, 2);
  EXPECT_EQ(workers_of<StopProcess>(gang.set_leases(leases({1, 2}, {3}), 2)), (Numbers{1, 2, 3}));
  EXPECT_EQ(workers_of<FreeLease>(gang.on_exited(3, gang.generation(), false)), Numbers{3});
  gang.set_leases(leases({1, 2}), 2);
  gang.on_exited(1, gang.generation(), false);
  EXPECT_EQ(of_kind<RecordCommand>(gang.on_exited(2, gang.generation(), false)).size(), 1U);
}

TEST(CommandGang, StartsAgainWhenANodeIsLost) {
  auto gang = running_gang({1, 2}, 1);
  EXPECT_EQ(workers_of<StopProcess>(gang.set_leases(leases({1}), 1)), Numbers{1});
  EXPECT_EQ(of_kind<RecordCommand>(gang.on_exited(1, gang.generation(), false)).front().members, Numbers{1});
}

TEST(CommandGang, DoesNotBeginAnewForAWorkerMoreWhenARankIsThrough) {
  auto gang = running_gang({1, 2}, 1);
  gang.on_exited(1, gang.generation(), true);
  EXPECT_TRUE(gang.set_leases(leases({1, 2, 3}), 1).empty());
  EXPECT_EQ(of_kind<CommandDone>(gang.on_exited(2, gang.generation(), true)).size(), 1U);
}

TEST(CommandGang, IsTakenBackByANewHead) {
  CommandGang gang({7, {1, 2}, {}, {}});
  EXPECT_TRUE(gang.set_leases(leases({1, 2}), 2).empty());
  gang.on_started(1, gang.generation(), 0);
  EXPECT_EQ(of_kind<ShowRunning>(gang.on_started(2, gang.generation(), 0)).size(), 1U);
  gang.on_exited(1, gang.generation(), true);
  EXPECT_EQ(of_kind<CommandDone>(gang.on_exited(2, gang.generation(), true)).size(), 1U);
}

TEST(CommandGang, RemembersWhoWasThroughBeforeANewHead) {
  CommandGang gang({7, {1, 2}, {1}, {}});
  EXPECT_TRUE(gang.set_leases(leases({1, 2}), 2).empty());
  EXPECT_EQ(of_kind<CommandDone>(gang.on_exited(2, gang.generation(), true)).size(), 1U);
}

TEST(CommandGang, WaitsForAProcessOfItsFormerLifeToEnd) {
  CommandGang gang({3, {}, {}, {8}});
  EXPECT_TRUE(gang.set_leases(leases({9}, {8}), 1).empty())
      << "its slots are not free, and it may still write";
  EXPECT_EQ(of_kind<RecordCommand>(gang.set_leases(leases({9}), 1)).size(), 1U);
}

TEST(CommandGang, StopsAProcessThatANewHeadMeetsTooLate) {
  CommandGang gang({7, {1, 2}, {}, {}});
  const auto lost = gang.set_leases(leases({2}), 2);
  EXPECT_EQ(workers_of<StopProcess>(lost), Numbers{2});  // its node may not be there yet
  EXPECT_EQ(workers_of<StopProcess>(gang.on_started(2, gang.generation(), 0)), Numbers{2});
}

TEST(CommandGang, TakesTheExitOfAFormerStartForNoExitOfTheNext) {
  auto gang = running_gang({1, 2});
  const auto first = gang.generation();
  gang.set_leases(leases({1, 2, 3}), 1);
  gang.on_exited(1, first, false);
  ASSERT_EQ(of_kind<RecordCommand>(gang.on_exited(2, first, false)).size(), 1U);
  CommandGang next({gang.generation(), {1, 3, 2}, {}, {}});  // a head that comes now
  next.set_leases(leases({1, 2, 3}), 1);
  EXPECT_TRUE(next.on_exited(1, first, false).empty()) << "the node says it again, for nobody has taken it";
  EXPECT_TRUE(next.on_started(2, first, 0).empty());
  EXPECT_EQ(next.alive().size(), 3U);
  EXPECT_EQ(of_kind<CommandCrashed>(next.on_exited(1, next.generation(), false)).size(), 1U);
}

/// Carries actions out as a head and nodes would, with losses, growth and crashes at random.
class CommandWorld {
 public:
  explicit CommandWorld(std::uint32_t seed) : random_(seed) {}

  void run() {
    for (int i = 0; i < 400 && !done_; ++i) step();
    // What is left goes its way without further trouble.
    for (int i = 0; i < 2'000 && !done_; ++i) {
      settle();
      if (held() < 2) grant();
      if (!running_.empty() && pending_start_ == 0 && gang_.is_running())
        exit_of(running_.begin()->first, true);
    }
    EXPECT_TRUE(done_) << "it never ended";
  }

 private:
  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  std::size_t held() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(leases_, [](const auto& one) { return !one.second; }));
  }
  void grant() {
    leases_[next_++] = false;
    tell();
  }
  void step() {
    settle();
    if (chance(20) && held() < 4) return grant();
    if (chance(10) && !leases_.empty()) {
      leases_.begin()->second = true;  // must leave
      return tell();
    }
    if (chance(10) && !leases_.empty()) {  // its node is lost
      const auto worker = leases_.rbegin()->first;
      running_.erase(worker);
      leases_.erase(worker);
      return tell();
    }
    if (!running_.empty() && chance(40)) {
      auto one = running_.begin();
      std::advance(one, random_() % running_.size());
      exit_of(one->first, one->second ? chance(50) : chance(30));
    }
  }
  void exit_of(std::uint64_t worker, bool clean) {
    running_.erase(worker);
    carry_out(gang_.on_exited(worker, generation_, clean));
  }
  void settle() {
    if (recording_ != 0) carry_out(gang_.on_recorded(std::exchange(recording_, 0)));
    pending_start_ = 0;
    const auto starting = std::exchange(starting_, {});
    for (const auto worker : starting) {
      if (running_.contains(worker)) carry_out(gang_.on_started(worker, generation_, 1));
    }
    std::vector<std::uint64_t> stopped;
    for (const auto& [worker, told] : running_) {
      if (told && chance(50)) stopped.push_back(worker);
    }
    for (const auto worker : stopped) exit_of(worker, chance(30));
  }
  void tell() {
    std::vector<CommandLease> all;
    for (const auto& [worker, releasing] : leases_) all.push_back({worker, "n", releasing});
    carry_out(gang_.set_leases(all, 2));
  }
  void carry_out(const CommandActions& actions) {
    for (const auto& action : actions) std::visit([this](const auto& one) { act(one); }, action);
  }
  void act(const RecordCommand& one) {
    EXPECT_TRUE(running_.empty()) << "a generation begins when the last one's processes are gone";
    recording_ = one.generation;
    generation_ = one.generation;
    through_.clear();
  }
  void act(const StartProcess& one) {
    EXPECT_EQ(one.generation, generation_);
    EXPECT_TRUE(leases_.contains(one.worker) && !leases_.at(one.worker)) << "nothing starts without slots";
    EXPECT_TRUE(running_.emplace(one.worker, false).second) << "no process is started twice";
    starting_.push_back(one.worker);
    ++pending_start_;
  }
  void act(const StopProcess& one) {
    EXPECT_TRUE(running_.contains(one.worker));
    if (running_.contains(one.worker)) running_[one.worker] = true;
  }
  void act(const FreeLease& one) {
    EXPECT_FALSE(running_.contains(one.worker)) << "slots are free only when nothing runs in them";
    leases_.erase(one.worker);
  }
  void act(const CommandCrashed& one) {
    leases_.erase(one.worker);
    for (auto& [worker, releasing] : leases_) releasing = true;
    tell();
  }
  void act(const CommandDone&) {
    EXPECT_TRUE(running_.empty());
    done_ = true;
  }
  void act(const RecordFinished& one) { through_.insert(one.worker); }
  void act(const ShowRunning&) {}
  void act(const ShowRestart&) {}

  std::mt19937 random_;
  CommandGang gang_{{}};
  std::map<std::uint64_t, bool> leases_;   ///< worker, whether it is releasing
  std::map<std::uint64_t, bool> running_;  ///< worker, whether it was told to stop
  std::vector<std::uint64_t> starting_;
  std::set<std::uint64_t> through_;
  std::uint64_t next_ = 1, recording_ = 0, generation_ = 0;
  int pending_start_ = 0;
  bool done_ = false;
};

TEST(CommandGang, KeepsItsPromisesWhateverHappens) {
  for (std::uint32_t seed = 1; seed <= 2'000 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CommandWorld(seed).run();
  }
}

}  // namespace
}  // namespace ds::job
