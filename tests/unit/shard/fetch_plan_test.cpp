#include "actors/shard/fetch_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

namespace ds::shard {
namespace {

using std::chrono::milliseconds;
using train::MicroBatch;
using Time = FetchPlan::Time;

constexpr std::uint64_t kBytes = 100;

/// A worker that hosts the logical ranks 0 and 1 of four.
std::optional<MicroBatch> next_of(const MicroBatch& one) {
  if (one.logical_rank == 0) return MicroBatch{one.step, 1, 0};
  return one.step == 999 ? std::nullopt : std::optional(MicroBatch{one.step + 1, 0, 0});
}

data::Batch batch_of(const MicroBatch& which) {
  data::Batch batch;
  batch.rows = which.step * 2 + which.logical_rank;
  return batch;
}

FetchPlan make_plan(FetchPlan::Limits limits = {}) {
  return {4, [](const MicroBatch&) { return kBytes; }, limits};
}

/// A plan that has learnt that a batch takes 10 ms here.
FetchPlan ready_plan(const std::vector<std::uint64_t>& shards, FetchPlan::Limits limits = {}) {
  FetchPlan plan = make_plan(limits);
  plan.note_own_time(milliseconds(10));
  plan.set_shards(shards);
  plan.expect({0, 0, 0}, next_of);
  return plan;
}

bool is_wait(const FetchPlan::Answer& answer) {
  return std::holds_alternative<FetchPlan::WaitUntil>(answer);
}
bool is_here(const FetchPlan::Answer& answer) {
  return std::holds_alternative<FetchPlan::MakeHere>(answer);
}
bool is_batch(const FetchPlan::Answer& answer, const MicroBatch& which) {
  const auto* batch = std::get_if<Result<data::Batch>>(&answer);
  return batch != nullptr && *batch && (*batch)->rows == batch_of(which).rows;
}

TEST(FetchPlan, AsksAheadForAsManyBatchesAndBytesAsItMay) {
  for (const auto& [limits, most] : {std::pair(FetchPlan::Limits{.ahead = 6}, 6U),
                                     std::pair(FetchPlan::Limits{.ahead = 6, .ahead_bytes = 250}, 2U),
                                     std::pair(FetchPlan::Limits{.ahead = 6, .ahead_bytes = 10}, 1U)}) {
    FetchPlan plan = ready_plan({7}, limits);
    auto asks = plan.take_asks(Time(0));
    ASSERT_EQ(asks.size(), 1U);
    EXPECT_EQ(asks[0].wanted.size(), most);
    EXPECT_TRUE(plan.take_asks(Time(0)).empty()) << "it asked twice";
    // A batch that came keeps its place until the trainer takes it: then there is room for one more.
    EXPECT_TRUE(plan.on_batch(7, {0, 0, 0}, batch_of({0, 0, 0}), Time(1)));
    EXPECT_TRUE(plan.take_asks(Time(1)).empty());
    EXPECT_TRUE(is_batch(plan.want({0, 0, 0}, Time(2)), {0, 0, 0}));
    asks = plan.take_asks(Time(2));
    ASSERT_EQ(asks.size(), 1U);
    EXPECT_EQ(asks[0].wanted.size(), 1U);
  }
}

TEST(FetchPlan, MakesTheFirstBatchHereToLearnWhatThatTakes) {
  FetchPlan plan = make_plan();
  plan.set_shards({7});
  plan.expect({0, 0, 0}, next_of);
  plan.take_asks(Time(0));
  EXPECT_TRUE(is_here(plan.want({0, 0, 0}, Time(0))));
  plan.note_own_time(milliseconds(10));
  EXPECT_TRUE(is_wait(plan.want({0, 1, 0}, Time(0))));
  EXPECT_FALSE(plan.on_batch(7, {0, 0, 0}, batch_of({0, 0, 0}), Time(1))) << "nobody waits for it any more";
}

TEST(FetchPlan, AsksTheOthersForWhatALostShardHadToMake) {
  FetchPlan plan = ready_plan({7, 8});
  std::map<std::uint64_t, std::vector<MicroBatch>> asked;
  for (const auto& ask : plan.take_asks(Time(0))) asked[ask.shard] = ask.wanted;
  const std::uint64_t lost = asked.begin()->first;
  plan.on_lost(lost);
  const auto asks = plan.take_asks(Time(1));
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0], (FetchPlan::Ask{15 - lost, false, asked[lost]}));
  plan.on_lost(15 - lost);
  EXPECT_TRUE(plan.take_asks(Time(2)).empty());
  EXPECT_TRUE(is_here(plan.want({0, 0, 0}, Time(2))));
  EXPECT_EQ(plan.begin_here(), (MicroBatch{0, 1, 0})) << "the next ones are made ahead";
  EXPECT_EQ(plan.begin_here(), (MicroBatch{1, 0, 0}));
  plan.end_here({0, 1, 0}, batch_of({0, 1, 0}));
  EXPECT_TRUE(is_batch(plan.want({0, 1, 0}, Time(3)), {0, 1, 0}));
  EXPECT_TRUE(is_wait(plan.want({1, 0, 0}, Time(3)))) << "it is being made";
}

TEST(FetchPlan, MakesNothingAheadWhileAShardCanBeAsked) {
  FetchPlan plan = ready_plan({7});
  plan.take_asks(Time(0));
  EXPECT_EQ(plan.begin_here(), std::nullopt);
}

TEST(FetchPlan, LeavesAShardAloneThatSaysNothingWhileTheTrainerWaits) {
  FetchPlan plan = ready_plan({7});
  plan.take_asks(Time(0));
  const auto begin = milliseconds(100);
  const auto answer = plan.want({0, 0, 0}, begin);
  ASSERT_TRUE(is_wait(answer));
  EXPECT_EQ(std::get<FetchPlan::WaitUntil>(answer).time, begin + milliseconds(20))
      << "twice what it takes here";
  EXPECT_TRUE(is_wait(plan.want({0, 0, 0}, begin + milliseconds(19))));
  EXPECT_TRUE(is_here(plan.want({0, 0, 0}, begin + milliseconds(20))));
  EXPECT_TRUE(plan.usable(begin + milliseconds(20)).empty());
  const auto asks = plan.take_asks(begin + milliseconds(20));
  EXPECT_EQ(asks, (std::vector<FetchPlan::Ask>{{7, true, {}}})) << "it is told to forget";
  EXPECT_EQ(plan.begin_here(), (MicroBatch{0, 1, 0}));
  // What it sends all the same is welcome.
  EXPECT_TRUE(plan.on_batch(7, {1, 0, 0}, batch_of({1, 0, 0}), begin + milliseconds(21)));
  // Later it gets another chance.
  EXPECT_EQ(plan.usable(begin + milliseconds(270)), std::vector<std::uint64_t>{7});
  EXPECT_EQ(plan.take_asks(begin + milliseconds(270)).at(0).wanted.front(), (MicroBatch{1, 1, 0}));
}

TEST(FetchPlan, WaitsForAShardThatKeepsSending) {
  FetchPlan plan = ready_plan({7});
  plan.take_asks(Time(0));
  plan.want({0, 0, 0}, milliseconds(10));
  plan.on_batch(7, {0, 1, 0}, batch_of({0, 1, 0}), milliseconds(25));
  EXPECT_TRUE(is_wait(plan.want({0, 0, 0}, milliseconds(35))));
  EXPECT_TRUE(is_here(plan.want({0, 0, 0}, milliseconds(45))));
}

TEST(FetchPlan, HearsNothingInABatchThatItDidNotAskFor) {
  FetchPlan plan = ready_plan({7});
  plan.take_asks(Time(0));
  plan.on_batch(7, {0, 1, 0}, batch_of({0, 1, 0}), milliseconds(5));
  EXPECT_TRUE(is_wait(plan.want({0, 0, 0}, milliseconds(10))));
  for (int at = 11; at < 30; ++at)
    plan.on_batch(7, {0, 1, 0}, batch_of({0, 1, 0}), milliseconds(at));  // the same again and again
  EXPECT_TRUE(is_here(plan.want({0, 0, 0}, milliseconds(30))));
}

TEST(FetchPlan, WaitsForNoBatchForEverWhateverElseComes) {
  FetchPlan plan = ready_plan({7}, {.ahead = 100});
  plan.take_asks(Time(0));
  MicroBatch other{0, 0, 0};
  int at = 0;
  while (is_wait(plan.want({0, 0, 0}, milliseconds(at))) && at < 1000) {
    other = *next_of(other);
    plan.on_batch(7, other, batch_of(other), milliseconds(at));
    const auto answer = plan.want({0, 0, 0}, milliseconds(at));
    EXPECT_LE(std::get<FetchPlan::WaitUntil>(answer).time, milliseconds(160));
    at += 10;
  }
  EXPECT_EQ(at, 20 * FetchPlan::kMostPatience);
}

TEST(FetchPlan, LeavesASlowShardAloneForLongerEachTimeUntilItIsInTime) {
  FetchPlan plan = ready_plan({7});
  Time now = milliseconds(1000);
  MicroBatch which{0, 0, 0};
  const auto fail_once = [&] {
    plan.take_asks(now);
    EXPECT_TRUE(is_wait(plan.want(which, now)));
    now += milliseconds(20);
    EXPECT_TRUE(is_here(plan.want(which, now)));
    which = *next_of(which);
    Time rest{0};
    while (plan.usable(now + rest).empty()) rest += milliseconds(1);
    now += rest;
    return rest;
  };
  EXPECT_EQ(fail_once(), milliseconds(250));
  EXPECT_EQ(fail_once(), milliseconds(500));
  EXPECT_EQ(fail_once(), milliseconds(1000));
  plan.take_asks(now);
  plan.on_batch(7, which, batch_of(which), now);
  EXPECT_TRUE(is_batch(plan.want(which, now), which));
  which = *next_of(which);
  EXPECT_EQ(fail_once(), milliseconds(250));
  for (int i = 0; i < 10; ++i) EXPECT_LE(fail_once(), FetchPlan::Limits{}.most_rest);
}

TEST(FetchPlan, MovesTheRanksOfAShardThatLetsTheTrainerWaitWhileAnotherIsIdle) {
  // The two ranks have different shards; that of rank 0 is always a little late.
  FetchPlan plan(2, [](const MicroBatch&) { return kBytes; }, {.ahead = 2});
  plan.note_own_time(milliseconds(10));
  plan.set_shards({7, 8});
  plan.expect({0, 0, 0}, next_of);
  const auto first = plan.take_asks(Time(0));
  ASSERT_EQ(first.size(), 2U);
  const std::uint64_t late = first[first[0].wanted.front().logical_rank == 0 ? 0 : 1].shard;
  const std::uint64_t quick = 15 - late;
  Time now{0};
  int waits = 0;
  for (std::uint64_t step = 0; step < 100; ++step) {
    plan.take_asks(now);
    plan.on_batch(quick, {step, 1, 0}, batch_of({step, 1, 0}), now);
    if (!is_wait(plan.want({step, 0, 0}, now))) break;
    ++waits;
    now += milliseconds(5);
    plan.on_batch(late, {step, 0, 0}, batch_of({step, 0, 0}), now);
    EXPECT_TRUE(is_batch(plan.want({step, 0, 0}, now), {step, 0, 0}));
    plan.take_asks(now);
    EXPECT_TRUE(is_batch(plan.want({step, 1, 0}, now), {step, 1, 0}));
  }
  EXPECT_EQ(waits, FetchPlan::kMostWaits - 1);
  EXPECT_EQ(plan.usable(now), std::vector<std::uint64_t>{quick});
  for (const auto& ask : plan.take_asks(now)) {
    EXPECT_TRUE(ask.shard == quick || (ask.forget && ask.wanted.empty())) << ask.shard;
  }
}

TEST(FetchPlan, NeverAsksARefusedShardUntilItIsAnother) {
  FetchPlan plan = ready_plan({7});
  plan.take_asks(Time(0));
  plan.refuse(7);
  EXPECT_EQ(plan.take_asks(Time(1)), (std::vector<FetchPlan::Ask>{{7, true, {}}}));
  plan.set_shards({7});
  EXPECT_TRUE(plan.take_asks(std::chrono::hours(1)).empty());
  plan.set_shards({9});
  EXPECT_EQ(plan.take_asks(std::chrono::hours(1)).at(0).shard, 9U);
}

TEST(FetchPlan, ForgetsWhatWasExpectedBeforeAndSaysSo) {
  FetchPlan plan = ready_plan({7});
  plan.take_asks(Time(0));
  plan.expect({500, 0, 0}, next_of);
  const auto asks = plan.take_asks(Time(1));
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_TRUE(asks[0].forget);
  EXPECT_EQ(asks[0].wanted.front(), (MicroBatch{500, 0, 0}));
  EXPECT_FALSE(plan.on_batch(7, {0, 0, 0}, batch_of({0, 0, 0}), Time(2)));
}

TEST(FetchPlan, GivesErrorsOfItsOwnBatchesToTheTrainer) {
  FetchPlan plan = ready_plan({});
  plan.take_asks(Time(0));
  const auto which = plan.begin_here();
  ASSERT_EQ(which, (MicroBatch{0, 0, 0}));
  plan.end_here(*which, fail(ErrorCode::invalid_argument, "row 3 is bad"));
  const auto answer = plan.want(*which, Time(1));
  EXPECT_EQ(std::get<Result<data::Batch>>(answer).error().message, "row 3 is bad");
}

TEST(FetchPlan, EndsWithTheExpectedOnes) {
  FetchPlan plan = ready_plan({7});
  plan.expect({998, 1, 0}, next_of);
  EXPECT_EQ(plan.take_asks(Time(0)).at(0).wanted,
            (std::vector<MicroBatch>{{998, 1, 0}, {999, 0, 0}, {999, 1, 0}}));
}

/// Shards of random speed that come, go, stall and lie about in between, and a trainer that takes one batch
/// after the other.
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed), plan_(make_plan({.ahead = 8})) {}

  /// False when the trainer got stuck.
  bool run(std::uint64_t steps) {
    plan_.expect({0, 0, 0}, next_of);
    MicroBatch which{0, 0, 0};
    for (int event = 0; event < 100'000 && which.step < steps; ++event) {
      now_ += Time(random_() % 3'000'000);
      disturb();
      deliver();
      tell();
      if (const auto here = plan_.begin_here()) plan_.end_here(*here, batch_of(*here));
      const auto answer = plan_.want(which, now_);
      if (is_wait(answer)) {
        EXPECT_LE(std::get<FetchPlan::WaitUntil>(answer).time, now_ + std::chrono::minutes(1));
        continue;
      }
      if (is_here(answer)) {
        plan_.note_own_time(Time(1 + random_() % 8'000'000));
        ++here_;
      } else {
        EXPECT_TRUE(is_batch(answer, which)) << which.step;
      }
      ++taken_;
      which = *next_of(which);
    }
    return which.step == steps;
  }

  std::uint64_t taken() const { return taken_; }
  std::uint64_t here() const { return here_; }

 private:
  struct Shard {
    std::deque<MicroBatch> orders;
    bool stalled = false;
  };

  void disturb() {
    if (random_() % 40 == 0) shards_[next_++] = {};
    if (random_() % 60 == 0 && !shards_.empty()) {
      const auto gone = std::next(shards_.begin(), static_cast<std::ptrdiff_t>(random_() % shards_.size()));
      if (random_() % 2 == 0) plan_.on_lost(gone->first);
      shards_.erase(gone);
    }
    for (auto& [number, shard] : shards_) {
      if (random_() % 100 == 0) shard.stalled = !shard.stalled;
    }
    if (random_() % 300 == 0 && !shards_.empty()) {
      refused_.insert(shards_.begin()->first);
      plan_.refuse(shards_.begin()->first);
    }
    std::vector<std::uint64_t> numbers;
    for (const auto& [number, shard] : shards_) numbers.push_back(number);
    plan_.set_shards(numbers);
  }

  void deliver() {
    for (auto& [number, shard] : shards_) {
      if (shard.stalled || shard.orders.empty() || random_() % 2 == 0) continue;
      plan_.on_batch(number, shard.orders.front(), batch_of(shard.orders.front()), now_);
      shard.orders.pop_front();
    }
  }

  void tell() {
    const auto usable = plan_.usable(now_);
    for (const auto& ask : plan_.take_asks(now_)) {
      const auto shard = shards_.find(ask.shard);
      ASSERT_TRUE(shard != shards_.end()) << "it told a shard that is gone";
      if (ask.forget) shard->second.orders.clear();
      if (!ask.wanted.empty()) {
        EXPECT_TRUE(std::ranges::binary_search(usable, ask.shard));
        EXPECT_FALSE(refused_.contains(ask.shard));
      }
      shard->second.orders.insert(shard->second.orders.end(), ask.wanted.begin(), ask.wanted.end());
    }
    EXPECT_LE(plan_.window(), 8U);
    EXPECT_LE(plan_.window_bytes(), 8 * kBytes);
    for (const auto& [number, shard] : shards_)
      EXPECT_LE(shard.orders.size(), 32U) << "no credit holds it back";
  }

  std::mt19937_64 random_;
  FetchPlan plan_;
  Time now_{0};
  std::map<std::uint64_t, Shard> shards_;
  std::set<std::uint64_t> refused_;
  std::uint64_t next_ = 1, taken_ = 0, here_ = 0;
};

TEST(FetchPlan, GivesEveryBatchInOrderWhateverTheShardsDo) {
  std::uint64_t taken = 0, here = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Simulation simulation(seed);
    EXPECT_TRUE(simulation.run(300)) << "seed " << seed;
    taken += simulation.taken();
    here += simulation.here();
  }
  EXPECT_LT(here, taken / 2) << "the shards were hardly used";
}

}  // namespace
}  // namespace ds::shard
