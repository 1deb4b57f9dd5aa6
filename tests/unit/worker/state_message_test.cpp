#include "actors/worker/state_message.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ds::worker {
namespace {

train::StateImage image_of(std::size_t bytes) {
  train::StateImage image;
  image.tensors.emplace_back("parameters", Buffer::copy_of(std::vector<std::byte>(bytes)));
  return image;
}

TEST(StateSize, CountsWhatTheServersHoldBesideWhatAWorkerDoes) {
  scheduler::OptimizerSpec adam;
  adam.name = "adam";
  EXPECT_EQ(count_state_bytes(image_of(400), 100, adam, false), 400U);
  EXPECT_EQ(count_state_bytes(image_of(400), 100, adam, true), 400U + 2 * 400U);
  scheduler::OptimizerSpec sgd;
  sgd.name = "sgd";
  EXPECT_EQ(count_state_bytes(image_of(400), 100, sgd, true), 400U);
}

TEST(StateSize, IsAtMostWhatTheHeadTakesAndAFrameHolds) {
  EXPECT_TRUE(check_state_size(1000, 1000));
  EXPECT_FALSE(check_state_size(1001, 1000));
  EXPECT_TRUE(check_state_size(kMaxStateBytes, ~std::uint64_t{0}));
  EXPECT_FALSE(check_state_size(kMaxStateBytes + 1, ~std::uint64_t{0}));
}

TEST(StateSize, SaysBothSizesAndWhatToDo) {
  const auto refused = check_state_size(std::uint64_t{3} << 20, std::uint64_t{2} << 20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message.find("3.0 MiB"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("2.0 MiB"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().hint.find("smaller model"), std::string::npos);
}

}  // namespace
}  // namespace ds::worker
