// A snapshot that is taken in pieces while the ledger goes on is what the ledger was when it began. DS_SEED=N
// repeats one seed, DS_SEEDS=M tries so many.
#include "scheduler/ledger/ledger_snapshot.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"
#include "tests/unit/scheduler/seeds.hpp"

namespace ds::scheduler {
namespace {

using testing::event;
using testing::kJobText;

constexpr std::size_t kJobs = 12;

class RandomEvents {
 public:
  explicit RandomEvents(std::uint64_t seed) : random_(seed) {}

  std::uint64_t pick(std::uint64_t count) { return random_() % count; }

  Event next() {
    auto one = event(body(), static_cast<std::int64_t>(++at_ms_ * 1'000));
    if (pick(4) == 0) one.by = "head";
    return one;
  }

 private:
  std::string job() { return "job-" + std::to_string(pick(kJobs)); }
  std::string node() { return "node-" + std::to_string(pick(3)); }

  JobSubmitted submission() {
    static const std::array<std::string, 4> kTexts{
        kJobText, "kind: command\nrun: x\nworkers: {min: 1, max: 3}\ntime_limit: 1h\n",
        "kind: command\nrun: \"ä\\\"\\t\"\n",
        "version: 1\nkind: serve\nname: m\nmodel: {source: \"registry:m@prod\"}\nreplicas: {min: 1, max: "
        "4}\n"};
    return {job(), "key-" + std::to_string(pick(100)), "job.yaml", "/data", kTexts.at(pick(kTexts.size()))};
  }

  Event::Body about_models() {
    switch (pick(6)) {
      case 0:
        return ModelVersionAdded{"m", {1 + pick(4), job(), 1 + pick(9), "ckpt", "", {}}};
      case 1:
        return ModelTagged{"m", "prod", 1 + pick(4), pick(3) == 0};
      case 2:
        return ModelServed{job(), "m", {{"prod", 100, 1 + pick(4)}}};
      case 3:
        return RolloutStopped{job(), 1 + pick(4), "why"};
      case 4:
        return VersionProved{job(), 1 + pick(4)};
      default:
        return ModelRemoved{"m", pick(3) == 0 ? 0 : 1 + pick(4)};
    }
  }

  Event::Body about_nodes() {
    switch (pick(7)) {
      case 0:
        return NodeJoined{node()};
      case 1:
        return NodeLost{node(), pick(2) == 0};
      case 2:
        return NodeDrained{node(), "why"};
      case 3:
        return NodeCordoned{node()};
      case 4:
        return NodeQuarantined{node(), "why"};
      case 5:
        return QuarantineLifted{node()};
      default:
        return NodeUndrained{node()};
    }
  }

  Event::Body of_a_gang() {
    switch (pick(6)) {
      case 0:
      case 1: {
        LeaseGranted granted{++workers_, job(), node(), 1, 5};
        granted.version = pick(3) == 0 ? 1 + pick(3) : 0;
        return granted;
      }
      case 2:
        return LeaseReleasing{1 + pick(workers_ + 1), pick(2) == 0};
      case 3:
        return LeaseEnded{1 + pick(workers_ + 1)};
      case 4:
        return WorkerCrashed{job(), 1 + pick(workers_ + 1), 1, 9, pick(2) == 0 ? node() : ""};
      default:
        return GenerationFormed{job(), ++generations_, {1 + pick(workers_ + 1)}, pick(30), {}};
    }
  }

  Event::Body body() {
    switch (pick(14)) {
      case 0:
      case 1:
        return submission();
      case 2:
        return JobForgotten{job()};
      case 3:
      case 4:
        return JobStateChanged{job(), static_cast<JobState>(pick(9)), "r"};
      case 5:
        return JobRetried{job()};
      case 6:
        return about_models();
      case 7:
        return about_nodes();
      case 8:
        return PriorityChanged{job(), static_cast<std::uint32_t>(pick(999))};
      case 9:
        return WorkersScaled{job(), static_cast<std::uint32_t>(pick(3)), static_cast<std::uint32_t>(pick(4))};
      case 10:
        return EvaluationRecorded{job(), pick(40), 0.5, {{"accuracy", 0.25}}, 0.1};
      case 11:
        return JobSubmittedAgain{job(), "again-" + std::to_string(pick(1'000))};
      default:
        return of_a_gang();
    }
  }

  std::mt19937_64 random_;
  std::uint64_t at_ms_ = 0, workers_ = 0, generations_ = 0;
};

TEST(LedgerSnapshot, IsWhatTheLedgerWasWhenItBeganWhateverHappensMeanwhile) {
  std::uint64_t pieces_with_events = 0;
  std::set<std::size_t> kinds_meanwhile;
  const testing::Seeds seeds(300);
  for (const auto seed : seeds) {
    SCOPED_TRACE("repeat with DS_SEED=" + std::to_string(seed));
    RandomEvents events(seed);
    Ledger ledger;
    for (auto left = events.pick(300); left > 0; --left) ledger.apply(events.next());
    const std::string before = ledger.snapshot();
    LedgerSnapshot snapshot(ledger);
    std::vector<std::string> pieces{snapshot.next_piece(1)};
    std::vector<Event> later;
    while (!snapshot.is_whole()) {
      for (auto left = events.pick(6); left > 0; --left) {
        const auto one = events.next();
        snapshot.before(one);
        if (!ledger.apply(one)) continue;
        later.push_back(one);
        kinds_meanwhile.insert(one.body.index());
        ++pieces_with_events;
      }
      pieces.push_back(snapshot.next_piece(1 + events.pick(600)));
    }
    auto restored = Ledger::restore(pieces);
    ASSERT_TRUE(restored);
    ASSERT_EQ(restored->snapshot(), before);
    for (const auto& one : later) ASSERT_TRUE(restored->apply(one)) << to_text(one);
    ASSERT_EQ(restored->snapshot(), ledger.snapshot());
    pieces.pop_back();
    ASSERT_FALSE(Ledger::restore(pieces)) << "the end is missing";
  }
  if (seeds.are_chosen()) return;
  EXPECT_GT(pieces_with_events, 1'000U);
  EXPECT_GT(kinds_meanwhile.size(), 20U) << "events of few kinds show little";
  for (const Event::Body& one :
       {Event::Body(JobForgotten{}), Event::Body(JobRetried{}), Event::Body(ModelTagged{}),
        Event::Body(ModelRemoved{}), Event::Body(LeaseEnded{})})
    EXPECT_TRUE(kinds_meanwhile.contains(one.index())) << to_text(event(one));
}

TEST(LedgerSnapshot, HasWhatHappenedToTheJobWhoseEndIsForgottenMeanwhile) {
  Ledger ledger;
  const auto end_one = [&](std::size_t number) {
    const auto job = "job-" + std::to_string(number);
    ASSERT_TRUE(ledger.apply(event(testing::submitted(job))));
    ASSERT_TRUE(ledger.apply(event(JobStateChanged{job, JobState::cancelled, "wanted"})));
  };
  for (std::size_t i = 0; i < History::kMaxEnded; ++i) end_one(i);
  const auto before = ledger.snapshot();
  LedgerSnapshot snapshot(ledger);
  const auto begin = event(testing::submitted("last"));
  snapshot.before(begin);
  ASSERT_TRUE(ledger.apply(begin));
  const auto end = event(JobStateChanged{"last", JobState::cancelled, "wanted"});
  snapshot.before(end);
  ASSERT_TRUE(ledger.apply(end));
  ASSERT_TRUE(ledger.history().of_job("job-0", 0).happenings.empty()) << "it was to be forgotten";
  std::vector<std::string> pieces;
  while (!snapshot.is_whole()) pieces.push_back(snapshot.next_piece(100'000));
  const auto restored = Ledger::restore(pieces);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->snapshot(), before);
}

TEST(LedgerSnapshot, HasPiecesOfTheSizeThatIsAskedForAndATextOnce) {
  Ledger ledger;
  for (int i = 0; i < 3'000; ++i)
    ASSERT_TRUE(ledger.apply(event(testing::submitted("job-" + std::to_string(i)))));
  LedgerSnapshot snapshot(ledger);
  std::vector<std::string> pieces;
  std::string all;
  while (!snapshot.is_whole()) {
    pieces.push_back(snapshot.next_piece(10'000));
    all += pieces.back();
    if (pieces.size() > 1) {  // the first one also has all that is no job's, as what happened lately
      EXPECT_LT(pieces.back().size(), 11'000U);
    }
    if (!snapshot.is_whole()) {
      EXPECT_GE(pieces.back().size(), 10'000U);
    }
  }
  EXPECT_GT(pieces.size(), 20U);
  EXPECT_EQ(all, ledger.snapshot());
  EXPECT_EQ(all.find("utterance"), all.rfind("utterance")) << "the text of all";
  EXPECT_EQ(snapshot.next_piece(10), "");
  const auto restored = Ledger::restore(pieces);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->find("job-7")->spec, restored->find("job-2999")->spec) << "they share it again";
}

}  // namespace
}  // namespace ds::scheduler
