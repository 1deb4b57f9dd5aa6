#include "actors/replica/tensor_message.hpp"

#include <gtest/gtest.h>

namespace ds::replica {
namespace {

std::vector<messages::InferCall> calls_of(const std::vector<std::size_t>& tensors) {
  std::vector<messages::InferCall> calls;
  for (const auto count : tensors) {
    auto& call = calls.emplace_back();
    call.number = calls.size();
    call.inputs.resize(count);
  }
  return calls;
}

TEST(TensorMessages, HaveNoMoreTensorsThanAMessageHasPieces) {
  const auto messages = to_messages(calls_of(std::vector<std::size_t>(130, 1)));
  ASSERT_EQ(messages.size(), 3U);
  std::uint64_t number = 0;
  for (const auto& message : messages) {
    EXPECT_LE(message.calls.size(), kMostTensors);
    for (const auto& call : message.calls) EXPECT_EQ(call.number, ++number) << "in their order";
  }
  EXPECT_EQ(number, 130U);
}

TEST(TensorMessages, AreAsFewAsTakeThem) {
  EXPECT_TRUE(to_messages(calls_of({})).empty());
  EXPECT_EQ(to_messages(calls_of({1, 2, 3})).size(), 1U);
  EXPECT_EQ(to_messages(calls_of({kMostTensors})).size(), 1U);
  EXPECT_EQ(to_messages(calls_of({kMostTensors, 1, 59, 1})).size(), 3U);
  EXPECT_EQ(to_messages(calls_of({0, 0, kMostTensors, 0, 0})).size(), 1U) << "a refusal has none";
}

TEST(TensorMessages, OfAnswersAreSplitAlike) {
  std::vector<messages::InferAnswer> answers(64);
  for (auto& answer : answers) answer.outputs.resize(2);
  const auto messages = to_messages(std::move(answers));
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0].answers.size(), 30U);
  EXPECT_EQ(messages[2].answers.size(), 4U);
}

}  // namespace
}  // namespace ds::replica
