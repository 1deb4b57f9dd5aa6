#include "actors/head/away_nodes.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ds::head {
namespace {

using namespace std::chrono_literals;
using Moment = AwayNodes::Moment;

NodeEntry entry(std::uint32_t slots) {
  NodeEntry made;
  made.slots = slots;
  return made;
}

TEST(AwayNodes, AreKnownForTenMinutes) {
  AwayNodes away;
  away.lose("n1", entry(4), Moment(5s));
  ASSERT_TRUE(away.contains("n1"));
  EXPECT_EQ(away.find("n1")->slots, 4U);
  EXPECT_TRUE(away.forget_old(Moment(5s + 10min - 1ms)).empty());
  EXPECT_TRUE(away.contains("n1"));
  EXPECT_EQ(away.forget_old(Moment(5s + 10min)), std::vector<std::string>{"n1"});
  EXPECT_FALSE(away.contains("n1"));
  EXPECT_EQ(away.find("n1"), nullptr);
  EXPECT_TRUE(away.forget_old(Moment(1h)).empty()) << "there was none any more";
}

TEST(AwayNodes, AreGoneAtOnceThatComeBack) {
  AwayNodes away;
  away.lose("n1", entry(4), Moment(0));
  away.come_back("n1");
  away.come_back("n2");
  EXPECT_FALSE(away.contains("n1"));
  EXPECT_TRUE(away.forget_old(Moment(10min)).empty());
}

TEST(AwayNodes, AreKnownForTenMinutesFromTheirLastLoss) {
  AwayNodes away;
  away.lose("n1", entry(4), Moment(0));
  away.lose("n2", entry(4), Moment(0));
  away.come_back("n1");
  away.lose("n1", entry(8), Moment(9min));
  EXPECT_EQ(away.forget_old(Moment(10min)), std::vector<std::string>{"n2"});
  EXPECT_FALSE(away.contains("n2"));
  ASSERT_TRUE(away.contains("n1"));
  EXPECT_EQ(away.find("n1")->slots, 8U);
  EXPECT_EQ(away.forget_old(Moment(19min)), std::vector<std::string>{"n1"});
  EXPECT_TRUE(away.all().empty());
}

TEST(AwayNodes, AreSoManyAtMost) {
  AwayNodes away;
  for (std::size_t i = 0; i < AwayNodes::kMost + 10; ++i)
    away.lose("n" + std::to_string(i), entry(1), Moment(i));
  EXPECT_EQ(away.all().size(), AwayNodes::kMost);
  EXPECT_TRUE(away.contains("n0"));
  EXPECT_FALSE(away.contains("n" + std::to_string(AwayNodes::kMost)));
  away.lose("n0", entry(2), Moment(1h));
  EXPECT_EQ(away.find("n0")->slots, 2U) << "one that is known may be lost again";
}

}  // namespace
}  // namespace ds::head
