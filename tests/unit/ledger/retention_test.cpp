// When a job that has ended need not be known any more.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;
using Jobs = std::vector<std::string>;

constexpr std::size_t kMany = 1000;

class Retention : public ::testing::Test {
 protected:
  void submit(const std::string& job, const std::string& more = {},
              std::vector<std::string> depends_on = {}) {
    ASSERT_TRUE(ledger_.apply(
        event(JobSubmitted{job, "key-" + job, "a.yaml", "/",
                           "kind: command\nrun: x\nname: " + job + "\n" + more, std::move(depends_on)},
              0)));
  }
  void end(const std::string& job, std::int64_t at_ms, JobState state = JobState::cancelled) {
    ASSERT_TRUE(ledger_.apply(event(JobStateChanged{job, state, ""}, at_ms)));
  }
  bool forget(const std::string& job) { return ledger_.apply(event(JobForgotten{job})); }

  Ledger ledger_;
};

TEST_F(Retention, IsOverSoLongAfterTheEnd) {
  submit("a", "retention: 10s\n");
  submit("b");
  EXPECT_FALSE(forget("a")) << "it has not ended";
  end("a", 5000);
  end("b", 6000);
  ledger_ = Ledger::restore(ledger_.snapshot()).value();
  EXPECT_EQ(ledger_.forgettable(14'999, kMany, kMany), Jobs{});
  EXPECT_EQ(ledger_.forgettable(15'000, kMany, kMany), Jobs{"a"});
  EXPECT_EQ(ledger_.forgettable(6000 + kDefaultRetentionMs, kMany, kMany), (Jobs{"a", "b"}));
  ASSERT_TRUE(forget("a"));
  EXPECT_FALSE(forget("a"));
  EXPECT_EQ(ledger_.find("a"), nullptr);
  EXPECT_TRUE(ledger_.match("a").empty());
  EXPECT_EQ(ledger_.find_by_key("key-a"), nullptr);
  EXPECT_FALSE(ledger_.take_changed().contains("a"));
  submit("a");  // its key may be used again
}

TEST_F(Retention, BeginsAgainWithTheNextEnd) {
  submit("a", "retention: 10s\n");
  end("a", 1000);
  ASSERT_TRUE(ledger_.apply(event(JobRetried{"a"}, 2000)));
  EXPECT_EQ(ledger_.forgettable(11'000, kMany, kMany), Jobs{});
  EXPECT_FALSE(forget("a"));
  end("a", 3000);
  EXPECT_EQ(ledger_.forgettable(12'999, kMany, kMany), Jobs{});
  EXPECT_EQ(ledger_.forgettable(13'000, kMany, kMany), Jobs{"a"});
}

TEST_F(Retention, GoesEarlyWhereTooManyHaveEnded) {
  for (const std::string job : {"a", "b", "c", "d"}) {
    submit(job);
    end(job, 1000 + job[0]);
  }
  EXPECT_EQ(ledger_.forgettable(2000, 4, kMany), Jobs{});
  EXPECT_EQ(ledger_.forgettable(2000, 2, kMany), (Jobs{"a", "b"}));
  EXPECT_EQ(ledger_.forgettable(2000, 2, 1), Jobs{"a"});
}

TEST_F(Retention, LastsAsLongAsOthersDependOnTheJob) {
  submit("a", "retention: 1s\n");
  end("a", 0);
  submit("b", "retention: 1s\n", {"a"});
  EXPECT_EQ(ledger_.forgettable(5000, 0, kMany), Jobs{});
  EXPECT_FALSE(forget("a"));
  end("b", 1000);
  EXPECT_EQ(ledger_.forgettable(5000, kMany, kMany), Jobs{"b"});
  ASSERT_TRUE(forget("b"));
  EXPECT_EQ(ledger_.forgettable(5000, kMany, kMany), Jobs{"a"});
  EXPECT_TRUE(forget("a"));
}

TEST_F(Retention, LastsAsLongAsWorkersOfTheJobAreThere) {
  submit("a", "retention: 1s\n");
  ASSERT_TRUE(ledger_.apply(event(LeaseGranted{1, "a", "node-1", 1, 0})));
  end("a", 0);
  EXPECT_EQ(ledger_.forgettable(5000, kMany, kMany), Jobs{});
  ASSERT_TRUE(ledger_.apply(event(LeaseEnded{1})));
  EXPECT_EQ(ledger_.forgettable(5000, kMany, kMany), Jobs{"a"});
}

TEST_F(Retention, LastsAsLongAsACheckpointOfTheJobIsServedOrAVersionOfAModel) {
  ASSERT_TRUE(ledger_.apply(event(submitted("trained"), 0)));
  ASSERT_TRUE(ledger_.apply(event(submitted("registered"), 0)));
  end("trained", 0);
  end("registered", 0);
  ASSERT_TRUE(ledger_.apply(event(JobSubmitted{
      "serving", "", "a.yaml", "/", "kind: serve\nname: serving\nmodel: {source: 'ckpt:trained'}\n", {}})));
  ASSERT_TRUE(ledger_.apply(event(CheckpointChosen{"serving", "trained", 7})));
  ASSERT_TRUE(
      ledger_.apply(event(ModelVersionAdded{"m", {1, "registered", 7, "ckpt:registered@7", "", {}, 1}})));
  EXPECT_EQ(ledger_.forgettable(2 * kDefaultRetentionMs, 0, kMany), Jobs{});
  EXPECT_FALSE(forget("trained"));
  EXPECT_FALSE(forget("registered"));
  end("serving", 0);
  EXPECT_EQ(ledger_.forgettable(2 * kDefaultRetentionMs, 0, kMany), Jobs{"serving"}) << "it may be retried";
  ASSERT_TRUE(forget("serving"));
  EXPECT_EQ(ledger_.forgettable(2 * kDefaultRetentionMs, 0, kMany), Jobs{"trained"});
}

}  // namespace
}  // namespace ds::scheduler
