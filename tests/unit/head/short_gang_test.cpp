#include "actors/head/short_gang.hpp"

#include <gtest/gtest.h>

namespace ds::head {
namespace {

using namespace std::chrono_literals;
using Moment = ShortGang::Moment;

constexpr ShortGang::Now kShort{.is_short = true};

TEST(ShortGang, GivesItsSlotsUpAfterTwoMinutes) {
  ShortGang gang;
  EXPECT_FALSE(gang.gives_up(kShort, Moment(1h))) << "it has lost none";
  EXPECT_EQ(gang.on_short(Moment(5s), 0ms), 2min);
  EXPECT_FALSE(gang.gives_up(kShort, Moment(5s + 2min - 1ms)));
  EXPECT_TRUE(gang.gives_up(kShort, Moment(5s + 2min)));
}

TEST(ShortGang, KeepsThemFromTheLastLossOn) {
  ShortGang gang;
  gang.on_short(Moment(0), 0ms);
  gang.on_short(Moment(1min), 0ms);
  EXPECT_FALSE(gang.gives_up(kShort, Moment(2min))) << "asked for the first loss";
  EXPECT_TRUE(gang.gives_up(kShort, Moment(3min)));
}

TEST(ShortGang, IsNotHurriedByABackOffAfterACrash) {
  ShortGang gang;
  EXPECT_EQ(gang.on_short(Moment(0), 5min), 7min);
  EXPECT_FALSE(gang.gives_up(kShort, Moment(2min)));
  EXPECT_TRUE(gang.gives_up(kShort, Moment(7min)));
  EXPECT_EQ(gang.on_short(Moment(10min), -5min), 2min) << "one that is over";
  EXPECT_TRUE(gang.gives_up(kShort, Moment(12min)));
}

TEST(ShortGang, KeepsThemWhileTheyAreOfUse) {
  const auto gives_up = [](const ShortGang::Now& now) {
    ShortGang gang;
    gang.on_short(Moment(0), 0ms);
    return gang.gives_up(now, Moment(2min));
  };
  ASSERT_TRUE(gives_up(kShort));
  EXPECT_FALSE(gives_up({})) << "it has them all again";
  EXPECT_FALSE(gives_up({.is_short = true, .trains = true}));
  EXPECT_FALSE(gives_up({.is_short = true, .is_backing_off = true}));
  EXPECT_FALSE(gives_up({.is_short = true, .may_come_back = true}));
}

TEST(ShortGang, IsNotGivenUpForALossThatItIsOver) {
  ShortGang gang;
  gang.on_short(Moment(0), 5min);
  gang.on_short(Moment(1min), 0ms);
  EXPECT_FALSE(gang.gives_up({}, Moment(3min)));
  EXPECT_FALSE(gang.gives_up(kShort, Moment(7min))) << "asked for the first loss";
}

}  // namespace
}  // namespace ds::head
