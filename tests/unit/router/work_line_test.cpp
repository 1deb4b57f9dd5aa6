#include "actors/router/work_line.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ds::router {
namespace {

using Moment = Work::Clock::time_point;

WorkPtr work(const std::string& turn, std::size_t cost, Moment until = Moment::max()) {
  auto made = std::make_shared<Work>();
  made->turn = turn;
  made->cost = cost;
  made->until = until;
  made->give_up = [](GivenUp) {};
  return made;
}

/// The costs of what it gives, in its order.
std::vector<std::size_t> costs_in(WorkLine& line) {
  std::vector<std::size_t> costs;
  while (const auto next = line.take()) costs.push_back(next->cost);
  return costs;
}

TEST(WorkLine, GivesTheCheapestAndTheOldestByTurns) {
  WorkLine line({10, 100});
  for (const std::size_t cost : {90, 91, 92, 5, 7}) EXPECT_TRUE(line.add(work("a", cost)).has_place);
  EXPECT_EQ(costs_in(line), (std::vector<std::size_t>{5, 90, 7, 91, 92}));
  EXPECT_TRUE(line.empty());
}

TEST(WorkLine, LetsLittleWaitForOneThatIsLargeAtMost) {
  WorkLine line({100, 100});
  for (int i = 0; i < 60; ++i) line.add(work("a", 1'000));
  for (int round = 0; round < 20; ++round) {
    const auto little = work("a", 1);
    line.add(little);
    const bool is_first = line.take() == little;
    EXPECT_TRUE(is_first || line.take() == little) << round;
  }
}

TEST(WorkLine, LetsNamesTakeTurnsWhateverTheirWorkCosts) {
  WorkLine line({10, 100});
  for (const std::size_t cost : {1, 2, 3}) line.add(work("a", cost));
  for (const std::size_t cost : {100, 200}) line.add(work("b", cost));
  EXPECT_EQ(costs_in(line), (std::vector<std::size_t>{1, 100, 2, 200, 3}));
}

TEST(WorkLine, GivesThePlaceOfTheCostliestToWhatCostsLess) {
  WorkLine line({3, 100});
  const auto first = work("a", 50), second = work("a", 50);
  line.add(first);
  line.add(second);
  line.add(work("a", 10));
  EXPECT_FALSE(line.add(work("a", 50)).has_place) << "it is no better than those that wait";
  const auto entry = line.add(work("a", 20));
  EXPECT_TRUE(entry.has_place);
  EXPECT_EQ(entry.crowded_out, second) << "of equals the newest";
  EXPECT_EQ(costs_in(line), (std::vector<std::size_t>{10, 50, 20}));
  const auto kept = work("a", 50);
  kept->give_up = nullptr;
  for (int i = 0; i < 3; ++i) line.add(kept);
  EXPECT_FALSE(line.add(work("a", 1)).has_place) << "what is never given up keeps its place";
}

TEST(WorkLine, IsBoundedForEachNameAndForAllButKeepsNobodyOut) {
  WorkLine line({2, 3});
  EXPECT_TRUE(line.add(work("a", 1)).has_place);
  EXPECT_TRUE(line.add(work("a", 1)).has_place);
  EXPECT_FALSE(line.add(work("a", 1)).has_place);
  EXPECT_TRUE(line.add(work("b", 1)).has_place);
  EXPECT_FALSE(line.add(work("b", 1)).has_place);
  EXPECT_TRUE(line.add(work("c", 1)).has_place);
  EXPECT_EQ(costs_in(line).size(), 4U);
}

TEST(WorkLine, GivesUpWhatIsLateOrWhoseClientIsGone) {
  const Moment now{std::chrono::seconds(100)};
  WorkLine line({10, 100});
  const auto late = work("a", 1, now), in_time = work("a", 1, now + std::chrono::nanoseconds(1));
  const auto gone = work("b", 1), there = work("b", 1), kept = work("c", 1, now);
  const auto client = std::make_shared<gateway::ClientWatch>();
  gone->client = client;
  there->client = std::make_shared<gateway::ClientWatch>();
  kept->give_up = nullptr;
  for (const auto& one : {late, in_time, gone, there, kept}) line.add(one);
  client->set_gone();
  WorkLine::Ended ended;
  line.take_over(now, ended);
  EXPECT_EQ(ended, (WorkLine::Ended{{late, GivenUp::late}, {gone, GivenUp::gone}}));
  EXPECT_EQ(line.take(), in_time);
  EXPECT_EQ(line.take(), there);
  EXPECT_EQ(line.take(), kept);
  EXPECT_TRUE(line.empty());
}

TEST(Work, IsAnsweredOnce) {
  int given_up = 0;
  const auto one = work("a", 1);
  one->give_up = [&](GivenUp) { ++given_up; };
  one->end(GivenUp::late);
  one->end(GivenUp::late);
  EXPECT_FALSE(one->claim());
  EXPECT_EQ(given_up, 1);
}

}  // namespace
}  // namespace ds::router
