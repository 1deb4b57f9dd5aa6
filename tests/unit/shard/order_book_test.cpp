#include "actors/shard/order_book.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace ds::shard {
namespace {

Order order(std::uint64_t worker, std::uint64_t step, std::uint64_t bytes = 10) {
  return {worker, {step, 0, 0}, bytes};
}

TEST(OrderBook, GivesTheEarliestStepOfAllWorkersFirst) {
  OrderBook book(1000);
  for (const std::uint64_t step : {5U, 3U, 4U}) EXPECT_TRUE(book.add(order(step % 2, step)));
  EXPECT_EQ(book.begin(), order(1, 3));
  EXPECT_EQ(book.begin(), order(0, 4));
  EXPECT_EQ(book.begin(), order(1, 5));
  EXPECT_EQ(book.begin(), std::nullopt);
}

TEST(OrderBook, HoldsWhatIsAskedForTwiceOnceAndForgetsOneWorkersAlone) {
  OrderBook book(1000);
  book.add(order(1, 1));
  book.add(order(1, 1));
  book.add(order(2, 1));
  EXPECT_EQ(book.waiting(), 2U);
  book.forget(1);
  EXPECT_EQ(book.begin(), order(2, 1));
  EXPECT_EQ(book.begin(), std::nullopt);
}

TEST(OrderBook, TakesOnlySoManyOrdersOfAWorkerAtATime) {
  OrderBook book(1 << 20);
  for (std::uint64_t step = 0; step < OrderBook::kMostOrders; ++step) EXPECT_TRUE(book.add(order(1, step)));
  EXPECT_FALSE(book.add(order(1, 999)));
  EXPECT_TRUE(book.add(order(1, 0))) << "it is there already";
  EXPECT_TRUE(book.add(order(2, 999)));
  EXPECT_TRUE(book.begin());
  EXPECT_TRUE(book.add(order(1, 999)));
}

TEST(OrderBook, MakesABatchThatIsLargerThanItsBudgetAlone) {
  OrderBook book(100);
  book.add(order(1, 1, 500));
  book.add(order(1, 2, 1));
  EXPECT_TRUE(book.begin());
  EXPECT_FALSE(book.begin());
  book.release(500);
  EXPECT_TRUE(book.begin());
}

TEST(OrderBook, NeverHasMoreOutThanItsBudgetAndGivesEachOrderOnce) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    const std::uint64_t budget = 50 + random() % 200;
    OrderBook book(budget);
    std::deque<std::uint64_t> out;
    std::uint64_t added = 0, begun = 0, step = 0;
    for (int event = 0; event < 500; ++event) {
      switch (random() % 3) {
        case 0:
          added += book.add(order(random() % 3, step++, 1 + random() % 50)) ? 1 : 0;
          break;
        case 1:
          if (const auto next = book.begin()) out.push_back(next->bytes), ++begun;
          break;
        default:
          if (!out.empty()) book.release(out.front()), out.pop_front();
      }
      EXPECT_LE(book.bytes_out(), budget);
      EXPECT_EQ(book.waiting(), added - begun);
    }
  }
}

}  // namespace
}  // namespace ds::shard
