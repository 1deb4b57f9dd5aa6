#include "actors/head/awaited_nodes.hpp"

#include <gtest/gtest.h>

namespace ds::head {
namespace {

using namespace std::chrono_literals;
using Names = std::set<std::string>;

TEST(AwaitedNodes, AreNamedWithTheHeadsAgeAndHowLongItWaitsAtMost) {
  const auto reason = await_nodes(3'400ms, {{"n-2", "n-1"}, {"free"}});
  EXPECT_EQ(reason.code, "no_capacity_now");
  EXPECT_EQ(
      reason.text,
      "the head was started 3 s ago and waits until nodes n-1, n-2 have reported, for 12 s more at most");
  EXPECT_EQ(reason.nodes, (std::vector<std::string>{"n-1", "n-2"}));
  EXPECT_EQ(await_nodes(0ms, {{"n"}, {}}).text,
            "the head was started 0 s ago and waits until node n has reported, for 15 s more at most");
  EXPECT_EQ(await_nodes(1s, {}).text,
            "the head was started 1 s ago and waits for its nodes to report, for 1 s more at most");
  EXPECT_NE(await_nodes(16s, {{"n"}, {}}).text.find("for 0 s more"), std::string::npos);
}

TEST(AwaitedNodes, AreThoseThatNobodyHasALeaseOnForAMomentOnly) {
  const MissingNodes missing{{"leased"}, {"free"}};
  EXPECT_EQ(await_nodes(1s, missing).nodes, (std::vector<std::string>{"free", "leased"}));
  EXPECT_EQ(await_nodes(2s, missing).nodes, std::vector<std::string>{"leased"});
  EXPECT_EQ(await_nodes(1s, {{}, {"free"}}).text,
            "the head was started 1 s ago and waits until node free has reported, for 1 s more at most")
      << "all that jobs have are back";
}

TEST(AwaitedNodes, OfManyTheFirstAreNamedAndTheOthersCounted) {
  Names names;
  for (int i = 10; i < 40; ++i) names.insert("n-" + std::to_string(i));
  const auto reason = await_nodes(1s, {names, {}});
  EXPECT_NE(reason.text.find("nodes n-10, n-11, n-12, n-13 and 26 more have reported"), std::string::npos)
      << reason.text;
  EXPECT_EQ(reason.nodes.size(), 20U);
  EXPECT_EQ(reason.unnamed_nodes, 10U);
}

}  // namespace
}  // namespace ds::head
