#include "actors/fabric/frame_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace ds::fabric {
namespace {

using Order = FrameOrder<int>;

/// Puts a frame in and returns what may be handled because of it.
std::vector<FrameNumber> arrive(Order& order, const FrameNumber& number) {
  std::vector<FrameNumber> handled;
  int frame = 0;
  const auto place = order.put(number, frame);
  EXPECT_NE(place, Order::Place::refused);
  if (place != Order::Place::ready) return handled;
  handled.push_back(number);
  order.handled(number);
  while (auto next = order.take_ready()) {
    handled.push_back(next->first);
    order.handled(next->first);
  }
  return handled;
}

TEST(FrameOrder, LetsFramesOfAnotherStreamPass) {
  FrameNumbers numbers;
  const FrameNumber big = numbers.next(1);
  const FrameNumber behind_it = numbers.next(1);
  const FrameNumber other = numbers.next(2);
  Order order;
  EXPECT_EQ(arrive(order, other), std::vector{other});
  EXPECT_TRUE(arrive(order, behind_it).empty());
  EXPECT_EQ(arrive(order, big), (std::vector{big, behind_it}));
  EXPECT_EQ(order.low(), 3u);
}

TEST(FrameOrder, HoldsAFrameOfStreamZeroBackUntilAllBeforeItWereHandled) {
  FrameNumbers numbers;
  const FrameNumber a = numbers.next(1);
  const FrameNumber b = numbers.next(2);
  const FrameNumber end = numbers.next(0);
  Order order;
  EXPECT_TRUE(arrive(order, end).empty());
  EXPECT_EQ(arrive(order, b), std::vector{b});
  EXPECT_EQ(arrive(order, a), (std::vector{a, end}));
}

TEST(FrameOrder, RefusesNumbersThatRepeatOrJump) {
  FrameNumbers numbers;
  const FrameNumber first = numbers.next(3);
  const FrameNumber second = numbers.next(3);
  Order order;
  int frame = 0;
  EXPECT_EQ(order.put(second, frame), Order::Place::waits);
  EXPECT_EQ(order.put(second, frame), Order::Place::refused);
  EXPECT_EQ(order.put({kMaxOvertaking + 1, 5, 0}, frame), Order::Place::refused);
  arrive(order, first);
  EXPECT_EQ(order.put(first, frame), Order::Place::refused);
  // A new number under which an old place in the stream is claimed.
  EXPECT_EQ(order.put({7, 3, 0}, frame), Order::Place::refused);
}

TEST(FrameOrder, KeepsEveryStreamInOrderHoweverFramesArrive) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    FrameNumbers numbers;
    std::vector<FrameNumber> sent;
    for (int i = 0; i < 300; ++i) sent.push_back(numbers.next(static_cast<std::uint8_t>(random() % 4)));
    std::vector<FrameNumber> arriving = sent;
    for (std::size_t i = 0; i < arriving.size(); ++i) {
      std::swap(arriving[i], arriving[std::min(arriving.size() - 1, i + random() % 40)]);
    }
    Order order;
    std::vector<FrameNumber> handled;
    for (const FrameNumber& number : arriving) {
      for (const FrameNumber& one : arrive(order, number)) handled.push_back(one);
    }
    ASSERT_EQ(handled.size(), sent.size()) << "seed " << seed;
    std::vector<std::uint64_t> next(256, 0);
    std::vector<bool> seen(sent.size(), false);
    for (const FrameNumber& number : handled) {
      ASSERT_EQ(number.in_stream, next[number.stream]++) << "seed " << seed;
      if (number.stream == 0) {
        for (std::uint64_t before = 0; before < number.sequence; ++before) {
          ASSERT_TRUE(seen[before]) << "seed " << seed;
        }
      }
      seen[number.sequence] = true;
    }
  }
}

}  // namespace
}  // namespace ds::fabric
