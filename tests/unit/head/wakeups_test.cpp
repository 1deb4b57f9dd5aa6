#include "actors/head/wakeups.hpp"

#include <gtest/gtest.h>

namespace ds::head {
namespace {

using Jobs = std::vector<std::string>;

TEST(Wakeups, GiveEachJobOnceWhenItsMomentHasCome) {
  Wakeups wakeups;
  wakeups.set("a", 20);
  wakeups.set("b", 10);
  EXPECT_EQ(wakeups.take_due(9), Jobs{});
  EXPECT_EQ(wakeups.take_due(20), (Jobs{"b", "a"}));
  EXPECT_EQ(wakeups.take_due(100), Jobs{});
}

TEST(Wakeups, KnowOneMomentAJobTheLastThatWasGiven) {
  Wakeups wakeups;
  wakeups.set("a", 10);
  wakeups.set("a", 30);
  wakeups.set("b", 10);
  wakeups.set("b", 0);
  EXPECT_EQ(wakeups.take_due(20), Jobs{});
  EXPECT_EQ(wakeups.take_due(30), Jobs{"a"});
}

}  // namespace
}  // namespace ds::head
