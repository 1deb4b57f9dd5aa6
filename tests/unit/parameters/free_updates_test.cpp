#include <gtest/gtest.h>

#include "tests/unit/parameters/shard_job.hpp"

namespace ds::parameters {
namespace {

constexpr std::uint64_t kElements = 300;
constexpr std::uint32_t kRanks = 3;

class FreeShard : public ::testing::Test {
 protected:
  static ShardOptions options() {
    ShardOptions options = options_for(kElements, kRanks, "adam");
    options.sync = false;
    return options;
  }
  PushUpdate update(std::uint32_t rank, std::uint64_t clock) {
    return {rank, clock, true, dense(random_values(generator_, kElements)),
            0.01 * static_cast<double>(clock)};
  }

  std::mt19937 generator_{21};
  std::vector<float> first_ = random_values(generator_, kElements);
  RangeShard shard_ = installed(options(), first_);
};

TEST_F(FreeShard, MakesEveryUpdateOnceInTheOrderInWhichTheyCome) {
  PlainLoop plain(options().optimizer, first_);
  std::vector<std::uint64_t> clocks(kRanks);
  std::vector<PushUpdate> made;
  for (Ticket ticket = 1; ticket < 300; ++ticket) {
    if (!made.empty() && generator_() % 3 == 0) {  // one that was made comes again
      const PushUpdate& old = made[generator_() % made.size()];
      const auto answers = answers_of(shard_.on_request(ticket, old));
      EXPECT_EQ(get<Pushed>(answers, ticket).clocks, clocks);
      continue;
    }
    const auto rank = static_cast<std::uint32_t>(generator_() % kRanks);
    PushUpdate one = update(rank, ++clocks[rank]);
    if (generator_() % 5 == 0) one = {rank, clocks[rank], false, {}, 0};
    const auto answers = answers_of(shard_.on_request(ticket, one));
    EXPECT_EQ(get<Pushed>(answers, ticket).clocks, clocks);
    if (one.updated) plain.update(to_values(one.gradient.bytes), one.learning_rate);
    made.push_back(std::move(one));
  }
  const RangeImage image = shard_.image();
  EXPECT_EQ(image.parameters.text(), bits_of(plain.parameters()));
  EXPECT_EQ(image.updates, plain.updates());
  EXPECT_EQ(shard_.applied(), clocks[0] + clocks[1] + clocks[2]) << "more than updates: some changed nothing";
  EXPECT_EQ(image.clocks, clocks);
}

TEST_F(FreeShard, LetsAPullWaitForTheSlowest) {
  EXPECT_EQ(answers_of(shard_.on_request(1, Pull{0, 0})).size(), 1U);
  EXPECT_TRUE(shard_.on_request(2, Pull{0, 1}).empty());
  EXPECT_TRUE(shard_.on_request(3, Pull{0, 2}).empty());
  (void)shard_.on_request(4, update(0, 1));
  EXPECT_EQ(answers_of(shard_.on_request(5, update(1, 1))).size(), 1U);
  const auto answers = answers_of(shard_.on_request(6, update(2, 1)));
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(get<Pulled>(answers, 2).step, 1U);
  EXPECT_EQ(get<Pulled>(answers, 2).clocks, (std::vector<std::uint64_t>{1, 1, 1}));
  EXPECT_EQ(get<Pulled>(answers, 2).version, 4U);
  shard_.begin_generation(false);
  for (const std::uint32_t rank : {0U, 1U, 2U}) {
    EXPECT_EQ(answers_of(shard_.on_request(10 + rank, update(rank, 2))).size(), 1U)
        << "ticket 3 is forgotten";
  }
}

TEST_F(FreeShard, LendsNoMemoryThatItWillChange) {
  const auto before = answers_of(shard_.on_request(1, Pull{}));
  (void)shard_.on_request(2, update(0, 1));
  EXPECT_EQ(get<Pulled>(before, 1).parameters.bytes.text(), bits_of(first_));
}

TEST_F(FreeShard, RefusesWhatDoesNotFitAndChangesNothing) {
  const RangeImage before = shard_.image();
  EXPECT_EQ(refusal(shard_.on_request(1, update(3, 1)), 1), ErrorCode::invalid_argument) << "no such rank";
  EXPECT_EQ(refusal(shard_.on_request(2, update(0, 2)), 2), ErrorCode::conflict) << "share 1 is missing";
  PushUpdate shorter = update(0, 1);
  shorter.gradient.bytes = shorter.gradient.bytes.slice(0, 8);
  EXPECT_EQ(refusal(shard_.on_request(3, shorter), 3), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal(shard_.on_request(4, PushSum{}), 4), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal(shard_.on_request(5, CommitAndPull{}), 5), ErrorCode::invalid_argument);
  EXPECT_EQ(shard_.image(), before);
}

TEST_F(FreeShard, KeepsTheNewestStateOfTheWorkers) {
  const auto kept = [&] { return std::string(shard_.image().worker_state.text()); };
  const auto keep = [&](Ticket ticket, std::uint64_t clock, std::string_view what) {
    const auto answers = answers_of(shard_.on_request(ticket, KeepWorkerState{clock, Buffer::copy_of(what)}));
    (void)get<Done>(answers, ticket);
  };
  keep(1, 5, "five");
  keep(2, 4, "four");
  EXPECT_EQ(kept(), "five");
  keep(3, 5, "five, judged");
  EXPECT_EQ(kept(), "five, judged");
}

TEST_F(FreeShard, BoundsHowManyWait) {
  constexpr Ticket kMany = 1 << 16;
  for (Ticket ticket = 0; ticket < kMany; ++ticket)
    ASSERT_TRUE(shard_.on_request(ticket, Pull{0, 100}).empty());
  EXPECT_EQ(refusal(shard_.on_request(kMany, Pull{0, 100}), kMany), ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace ds::parameters
