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
constexpr std::int64_t kAge = 100;

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

  Jobs forgettable(std::int64_t now_ms, std::size_t most = kMany, std::size_t limit = kMany) const {
    return ledger_.forgettable(now_ms, {most, kAge, limit}, [this](const auto& job) { return job != kept_; });
  }

  Ledger ledger_;
  std::string kept_;  ///< a job that may not go
};

TEST_F(Retention, IsOverSoLongAfterTheEnd) {
  submit("a", "retention: 10s\n");
  submit("b");
  EXPECT_FALSE(forget("a")) << "it has not ended";
  end("a", 5000);
  end("b", 6000);
  ledger_ = Ledger::restore(ledger_.snapshot()).value();
  EXPECT_EQ(forgettable(14'999), Jobs{});
  EXPECT_EQ(forgettable(15'000), Jobs{"a"});
  EXPECT_EQ(forgettable(6000 + kDefaultRetentionMs), (Jobs{"a", "b"}));
  ASSERT_TRUE(forget("a"));
  EXPECT_FALSE(forget("a"));
  EXPECT_EQ(ledger_.find("a"), nullptr);
  EXPECT_TRUE(ledger_.match("a").empty());
  EXPECT_EQ(ledger_.find_by_key("key-a"), nullptr);
  EXPECT_FALSE(ledger_.take_changed().contains("a"));
  EXPECT_TRUE(ledger_.is_forgotten_key("key-a"));
  ledger_ = Ledger::restore(ledger_.snapshot()).value();
  const std::string text = "kind: command\nrun: x\n";
  EXPECT_FALSE(ledger_.apply(event(JobSubmitted{"a", "key-a", "a.yaml", "/", text}))) << "one key, one job";
  EXPECT_TRUE(ledger_.apply(event(JobSubmitted{"a", "another", "a.yaml", "/", text})));
}

TEST_F(Retention, BeginsAgainWithTheNextEnd) {
  submit("a", "retention: 10s\n");
  end("a", 1000);
  ASSERT_TRUE(ledger_.apply(event(JobRetried{"a"}, 2000)));
  EXPECT_EQ(forgettable(11'000), Jobs{});
  EXPECT_FALSE(forget("a"));
  end("a", 3000);
  EXPECT_EQ(forgettable(12'999), Jobs{});
  EXPECT_EQ(forgettable(13'000), Jobs{"a"});
}

TEST_F(Retention, IsOverSoonerForTheOldestWhereTooManyHaveEnded) {
  submit("a", "retention: 90d\n");
  submit("b");
  submit("c", "retention: 7d\n");
  submit("d", "retention: 1h\n");
  std::int64_t at_ms = 1000;
  for (const std::string job : {"a", "b", "c", "d"}) end(job, at_ms++);
  EXPECT_EQ(forgettable(2000, 4), Jobs{});
  EXPECT_EQ(forgettable(2000, 2), (Jobs{"a", "b"}));
  EXPECT_EQ(forgettable(2000, 2, 1), Jobs{"a"});
  EXPECT_EQ(forgettable(1001 + kAge, 0), (Jobs{"a", "b"})) << "none whose end is not so long ago";
  kept_ = "a";
  EXPECT_EQ(forgettable(2000, 2), (Jobs{"b", "c"}));
  EXPECT_EQ(forgettable(1003 + 3'600'000, 3), Jobs{"d"}) << "whose time is over, which is enough";
}

TEST_F(Retention, LastsAsLongAsOthersWaitThatDependOnTheJob) {
  submit("a", "retention: 1s\n");
  end("a", 0, JobState::succeeded);
  submit("b", "retention: 1h\n", {"a"});
  submit("c", "retention: 1h\n", {"a"});
  EXPECT_EQ(forgettable(5000, 0), Jobs{});
  EXPECT_FALSE(forget("a"));
  end("b", 1000);
  EXPECT_EQ(forgettable(5000), Jobs{}) << "c waits";
  ASSERT_TRUE(ledger_.apply(event(JobStateChanged{"c", JobState::starting, ""}, 2000)));
  EXPECT_EQ(forgettable(5000), Jobs{"a"}) << "c looks at it no more";
  ASSERT_TRUE(forget("a"));
  ledger_ = Ledger::restore(ledger_.snapshot()).value();
  EXPECT_TRUE(ledger_.holds(*ledger_.find("c"), 5000).empty());
  EXPECT_FALSE(ledger_.broken_dependency(*ledger_.find("c")));
}

TEST_F(Retention, LastsAsLongAsWorkersOfTheJobAreThere) {
  submit("a", "retention: 1s\n");
  ASSERT_TRUE(ledger_.apply(event(LeaseGranted{1, "a", "node-1", 1, 0})));
  end("a", 0);
  EXPECT_EQ(forgettable(5000), Jobs{});
  ASSERT_TRUE(ledger_.apply(event(LeaseEnded{1})));
  EXPECT_EQ(forgettable(5000), Jobs{"a"});
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
  EXPECT_EQ(forgettable(2 * kDefaultRetentionMs, 0), Jobs{});
  EXPECT_FALSE(forget("trained"));
  EXPECT_FALSE(forget("registered"));
  end("serving", 0);
  EXPECT_EQ(forgettable(2 * kDefaultRetentionMs, 0), Jobs{"serving"}) << "it may be retried";
  ASSERT_TRUE(forget("serving"));
  EXPECT_EQ(forgettable(2 * kDefaultRetentionMs, 0), Jobs{"trained"});
}

}  // namespace
}  // namespace ds::scheduler
