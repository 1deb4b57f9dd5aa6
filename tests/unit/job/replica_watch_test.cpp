#include "actors/job/replica_watch.hpp"

#include <gtest/gtest.h>

namespace ds::job {
namespace {

using Time = ReplicaWatch::Time;
using Lease = ReplicaWatch::Lease;
using Late = ReplicaWatch::Late;

class ReplicaWatches : public ::testing::Test {
 protected:
  std::vector<Late> look(std::int64_t now, bool releasing = false) {
    return watch_.look({Lease{1, releasing}}, Time(now));
  }
  ReplicaWatch watch_{
      {.hello = Time(100), .load = Time(300), .back = Time(50), .leave = Time(80), .again = Time(20)}};
};

TEST_F(ReplicaWatches, WaitForAHelloFromTheFirstLookOn) {
  EXPECT_TRUE(look(1'000).empty());
  EXPECT_TRUE(look(1'099).empty());
  EXPECT_EQ(look(1'100), (std::vector<Late>{{1, "it did not say that it runs within 0 s", false, true}}));
}

TEST_F(ReplicaWatches, GiveAModelItsTimeToLoadAndOneThatIsReadyAllTime) {
  look(0);
  watch_.on_hello(1, false, Time(90));
  EXPECT_TRUE(look(389).empty());
  watch_.on_hello(1, false, Time(389));  // to another head's question: it loads no longer for that
  ASSERT_EQ(look(390).size(), 1U);
  watch_.on_hello(1, true, Time(391));
  EXPECT_TRUE(look(1'000'000).empty());
}

TEST_F(ReplicaWatches, EndOneWhoseLinkIsLostUnlessItIsBack) {
  look(0);
  watch_.on_hello(1, true, Time(10));
  watch_.on_lost(1, Time(20));
  watch_.on_lost(1, Time(60));  // is not heard of a second time
  EXPECT_TRUE(look(69).empty());
  watch_.on_hello(1, true, Time(69));
  EXPECT_TRUE(look(200).empty());
  watch_.on_lost(1, Time(200));
  EXPECT_EQ(look(250), (std::vector<Late>{{1, "nothing was heard of it for 0 s", false, false}}));
}

TEST_F(ReplicaWatches, EndOneThatDoesNotLeaveAndSayItAgain) {
  look(0);
  watch_.on_hello(1, true, Time(10));
  EXPECT_TRUE(look(100, true).empty());
  EXPECT_TRUE(look(179, true).empty());
  const std::vector<Late> late{{1, "it did not leave within 0 s", true, true}};
  EXPECT_EQ(look(180, true), late);
  EXPECT_TRUE(look(199, true).empty());
  EXPECT_EQ(look(200, true), late) << "the order to end it may have been lost";
}

TEST_F(ReplicaWatches, ForgetOneThatIsGone) {
  look(0);
  EXPECT_TRUE(watch_.look({}, Time(1'000)).empty());
  EXPECT_TRUE(look(2'000).empty()) << "a later lease of that number begins anew";
}

}  // namespace
}  // namespace ds::job
