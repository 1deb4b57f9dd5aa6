#include "actors/head/waiting_jobs.hpp"

#include <gtest/gtest.h>

namespace ds::head {
namespace {

using Names = std::vector<std::string>;

TEST(WaitingJobs, AreCountedByWhatHoldsThemAndOthersKnownInTheOrderOfTheirSubmission) {
  WaitingJobs waiting;
  waiting.wait("late", 9, "");
  waiting.wait("early", 2, "");
  waiting.wait("held", 3, "dependency");
  waiting.wait("too", 4, "dependency");
  waiting.wait("timed", 5, "begin_time");
  EXPECT_EQ(waiting.held(), (WaitCounts{{"dependency", 2}, {"begin_time", 1}}));
  EXPECT_EQ(waiting.first_for_room(9), (Names{"early", "late"}));
  EXPECT_EQ(waiting.first_for_room(1), Names{"early"});
}

TEST(WaitingJobs, AreWhatTheyWereToldToBeLast) {
  WaitingJobs waiting;
  waiting.wait("a", 1, "begin_time");
  waiting.wait("a", 1, "begin_time");
  EXPECT_EQ(waiting.held(), (WaitCounts{{"begin_time", 1}}));
  waiting.wait("a", 1, "dependency");
  EXPECT_EQ(waiting.held(), (WaitCounts{{"dependency", 1}}));
  waiting.wait("a", 1, "");
  EXPECT_TRUE(waiting.held().empty());
  EXPECT_EQ(waiting.first_for_room(9), Names{"a"});
  waiting.wait("a", 1, "held");
  EXPECT_TRUE(waiting.first_for_room(9).empty());
  waiting.remove(1);
  waiting.remove(1);
  EXPECT_TRUE(waiting.held().empty());
}

}  // namespace
}  // namespace ds::head
