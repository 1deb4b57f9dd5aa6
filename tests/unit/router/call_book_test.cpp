#include "actors/router/call_book.hpp"

#include <gtest/gtest.h>

namespace ds::router {
namespace {

using std::chrono::steady_clock;

Call call_of(std::uint64_t number, std::uint64_t worker = 1, steady_clock::time_point until = {}) {
  auto journey = std::make_shared<Journey>();
  journey->call = number;
  return {std::move(journey), worker, {}, until};
}

std::vector<std::uint64_t> numbers_of(const std::vector<Call>& calls) {
  std::vector<std::uint64_t> numbers;
  for (const Call& call : calls) numbers.push_back(call.journey->call);
  return numbers;
}

TEST(CallBooks, GiveEachCallOnce) {
  CallBook book;
  EXPECT_TRUE(book.empty());
  book.add(call_of(7, 3));
  ASSERT_NE(book.find(7), nullptr);
  EXPECT_EQ(book.find(7)->worker, 3U);
  EXPECT_EQ(book.find(8), nullptr);
  EXPECT_FALSE(book.take(8));
  const auto taken = book.take(7);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->journey->call, 7U);
  EXPECT_FALSE(book.take(7)) << "a second answer is nobody's";
  EXPECT_TRUE(book.empty());
}

TEST(CallBooks, GiveThoseOfALostReplicaInTheOrderInWhichTheyWereSent) {
  CallBook book;
  for (std::uint64_t number = 1; number <= 200; ++number) book.add(call_of(number, number % 2));
  std::vector<std::uint64_t> odd;
  for (std::uint64_t number = 1; number < 200; number += 2) odd.push_back(number);
  EXPECT_EQ(numbers_of(book.take_if([](const Call& call) { return call.worker == 1; })), odd);
  EXPECT_EQ(book.find(1), nullptr);
  EXPECT_NE(book.find(2), nullptr);
}

}  // namespace
}  // namespace ds::router
