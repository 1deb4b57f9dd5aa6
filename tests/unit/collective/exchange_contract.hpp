#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "actors/collective/exchange.hpp"

namespace ds::collective {

/// Makes the exchanges of a gang of that size, in rank order.
using MakeExchanges = std::function<std::vector<std::shared_ptr<Exchange>>(std::uint32_t)>;

/// What every exchange must do. Include it in one test file an implementation and instantiate the suite
/// there.
class ExchangeContract : public ::testing::TestWithParam<std::pair<std::string, MakeExchanges>> {
 protected:
  std::vector<std::shared_ptr<Exchange>> make(std::uint32_t world) { return GetParam().second(world); }

  /// The result of a call on another thread, or a failed test after the deadline.
  template <class T>
  static T get(std::future<T>& future) {
    if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
      ADD_FAILURE() << "still waiting after 30 s";
    }
    return future.get();
  }
};

inline std::string text_of(const Result<Buffer>& received) {
  return received ? std::string(received->text()) : "failed: " + received.error().message;
}

TEST_P(ExchangeContract, KnowsItsRankAndTheSizeOfTheWorld) {
  const auto gang = make(3);
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(gang[rank]->rank(), rank);
    EXPECT_EQ(gang[rank]->world_size(), 3U);
  }
}

TEST_P(ExchangeContract, DeliversByTagAndSenderWhateverTheOrderOfReceiving) {
  const auto gang = make(3);
  ASSERT_TRUE(gang[0]->send(2, 1, Buffer::copy_of("zero-one")));
  ASSERT_TRUE(gang[0]->send(2, 2, Buffer::copy_of("zero-two")));
  ASSERT_TRUE(gang[1]->send(2, 1, Buffer::copy_of("one-one")));
  EXPECT_EQ(text_of(gang[2]->receive(1, 1)), "one-one");
  EXPECT_EQ(text_of(gang[2]->receive(0, 2)), "zero-two");
  EXPECT_EQ(text_of(gang[2]->receive(0, 1)), "zero-one");
}

TEST_P(ExchangeContract, KeepsTheOrderOfBuffersWithOneTagAndDeliversEachOnce) {
  const auto gang = make(2);
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(gang[0]->send(1, 7, Buffer::copy_of(text)));
  EXPECT_EQ(text_of(gang[1]->receive(0, 7)), "a");
  EXPECT_EQ(text_of(gang[1]->receive(0, 7)), "b");
  EXPECT_EQ(text_of(gang[1]->receive(0, 7)), "c");
}

TEST_P(ExchangeContract, CarriesEmptyAndLargeBuffersWhole) {
  const auto gang = make(2);
  std::string large(5'000'003, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 >> 3);
  ASSERT_TRUE(gang[0]->send(1, 1, Buffer()));
  ASSERT_TRUE(gang[0]->send(1, 2, Buffer::copy_of(large)));
  EXPECT_EQ(text_of(gang[1]->receive(0, 1)), "");
  EXPECT_TRUE(text_of(gang[1]->receive(0, 2)) == large);
}

TEST_P(ExchangeContract, WaitsForWhatIsSentLater) {
  const auto gang = make(2);
  auto received = std::async(std::launch::async, [&] { return text_of(gang[1]->receive(0, 5)); });
  ASSERT_TRUE(gang[0]->send(1, 5, Buffer::copy_of("late")));
  EXPECT_EQ(get(received), "late");
}

TEST_P(ExchangeContract, EndsWaitingAndLaterCallsWithTheFirstReasonOfAbort) {
  const auto gang = make(2);
  auto received = std::async(std::launch::async, [&] { return gang[1]->receive(0, 5); });
  gang[1]->abort({ErrorCode::cancelled, "generation 4 ended", ""});
  gang[1]->abort({ErrorCode::internal, "another reason", ""});
  EXPECT_EQ(text_of(get(received)), "failed: generation 4 ended");
  EXPECT_EQ(text_of(gang[1]->receive(0, 6)), "failed: generation 4 ended");
  const Result<void> sent = gang[1]->send(0, 1, Buffer::copy_of("x"));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::cancelled);
}

TEST_P(ExchangeContract, TellsEverybodyWhenItIsToAbortEverywhere) {
  const auto gang = make(3);
  EXPECT_EQ(gang[0]->aborted(), std::nullopt);
  const Error why{ErrorCode::conflict, "generation 5 begins", "join it"};
  gang[2]->abort_everywhere(why);
  for (const auto& member : gang) {
    const Result<Buffer> received = member->receive((member->rank() + 1) % 3, 1);
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error(), why);
    EXPECT_EQ(member->aborted(), why);
  }
}

TEST_P(ExchangeContract, TellsTheOthersThatAMemberWasLost) {
  auto gang = make(2);
  auto received = std::async(std::launch::async, [&] { return gang[1]->receive(0, 5); });
  gang[0].reset();
  const Result<Buffer> result = get(received);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
}

TEST_P(ExchangeContract, RefusesARankThatDoesNotExist) {
  const auto gang = make(2);
  EXPECT_FALSE(gang[0]->send(2, 1, Buffer()));
  EXPECT_FALSE(gang[0]->receive(2, 1));
}

}  // namespace ds::collective
