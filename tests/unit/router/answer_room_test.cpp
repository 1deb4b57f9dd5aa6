#include "actors/router/answer_room.hpp"

#include <gtest/gtest.h>

namespace ds::router {
namespace {

TEST(AnswerRoom, IsGivenUntilItIsFullAndAgainWhenAPartIsGivenBack) {
  AnswerRoom room(100);
  auto first = room.take(60);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(room.take(41), nullptr);
  const auto second = room.take(40);
  ASSERT_NE(second, nullptr) << "what was refused took nothing";
  first.reset();
  EXPECT_NE(room.take(60), nullptr);
  EXPECT_EQ(room.take(101), nullptr);
}

TEST(AnswerRoom, LetsAPartGrowWhileThereIsRoomAndShrinkAlways) {
  AnswerRoom room(100);
  const auto text = room.take(30), other = room.take(50);
  EXPECT_TRUE(text->resize(50)) << "JSON takes more than its tensors";
  EXPECT_FALSE(text->resize(51));
  EXPECT_EQ(room.take(1), nullptr);
  EXPECT_TRUE(text->resize(10));
  EXPECT_NE(room.take(40), nullptr);
}

TEST(AnswerRoom, MayEndBeforeItsParts) {
  std::shared_ptr<AnswerRoom::Part> part;
  {
    AnswerRoom room(100);
    part = room.take(60);
  }
  EXPECT_TRUE(part->resize(100));
  EXPECT_FALSE(part->resize(101));
}

}  // namespace
}  // namespace ds::router
