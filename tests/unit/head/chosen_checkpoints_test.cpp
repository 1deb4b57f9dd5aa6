#include "actors/head/chosen_checkpoints.hpp"

#include <gtest/gtest.h>

namespace ds::head {
namespace {

TEST(ChosenCheckpoints, AreHeldUntilTheLastWhoChoseThemLetsGo) {
  ChosenCheckpoints chosen;
  chosen.hold("a-1", 40);
  chosen.hold("a-1", 40);
  chosen.hold("a-1", 80);
  chosen.hold("b-1", 7);
  EXPECT_EQ(chosen.of("a-1"), (std::vector<std::uint64_t>{40, 40, 80}));
  chosen.release("a-1", 40);
  EXPECT_EQ(chosen.of("a-1"), (std::vector<std::uint64_t>{40, 80}));
  chosen.release("a-1", 40);
  chosen.release("a-1", 40);  // once too often
  EXPECT_EQ(chosen.of("a-1"), std::vector<std::uint64_t>{80});
  EXPECT_EQ(chosen.of("b-1"), std::vector<std::uint64_t>{7});
  EXPECT_TRUE(chosen.of("c-1").empty());
}

}  // namespace
}  // namespace ds::head
