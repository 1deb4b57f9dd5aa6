#include "actors/router/endpoint_state.hpp"

#include <gtest/gtest.h>

namespace ds::router {
namespace {

using namespace std::chrono_literals;

TEST(EndpointStates, KnowHowManyAnswersThereAreASecond) {
  EndpointState state;
  const std::chrono::steady_clock::time_point begin{1h};
  EXPECT_EQ(state.answer_rate(begin), 0);
  state.note_latency(begin, 1);
  EXPECT_EQ(state.answer_rate(begin), 1) << "one is no rate yet";
  for (int i = 1; i <= 40; ++i) state.note_latency(begin + i * 100ms, 1);
  EXPECT_NEAR(state.answer_rate(begin + 4s), 10, 0.5);
  EXPECT_NEAR(state.answer_rate(begin + 8s), 2, 0.5) << "it slows down";
  EXPECT_EQ(state.answer_rate(begin + 10s), 0) << "all of them are long ago";
}

TEST(EndpointStates, KnowTheRateThoughTheyKeepOnlyTheLastAnswers) {
  EndpointState state;
  const std::chrono::steady_clock::time_point begin{1h};
  for (int i = 0; i < 5000; ++i) state.note_latency(begin + i * 1ms, 1);
  EXPECT_NEAR(state.answer_rate(begin + 5s), 1000, 20) << "by the last half of a second";
}

}  // namespace
}  // namespace ds::router
