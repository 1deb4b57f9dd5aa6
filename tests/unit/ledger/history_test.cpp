#include "scheduler/ledger/history.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using testing::event;
using testing::submitted;
using testing::with_job;
using Nodes = std::vector<std::pair<std::string, std::uint32_t>>;

std::vector<std::string> words_of(const History::Page& page) {
  std::vector<std::string> words;
  for (const auto& one : page.happenings)
    words.push_back(one.what + (one.value.empty() ? "" : " " + one.value));
  return words;
}

History::Page of(const Ledger& ledger, const std::string& job = "intents-1",
                 std::optional<std::uint64_t> after = std::nullopt) {
  return ledger.history_of(*ledger.find(job), after);
}

TEST(History, TellsWhatHappenedToAJobInOrderAndWhy) {
  Ledger ledger = with_job();
  for (std::uint64_t worker : {1, 2, 3})
    ASSERT_TRUE(ledger.apply(event(LeaseGranted{worker, "intents-1", worker < 3 ? "a" : "b"}, 2000)));
  ASSERT_TRUE(
      ledger.apply(event(JobStateChanged{"intents-1", JobState::starting, "its workers start"}, 2000)));
  ASSERT_TRUE(ledger.apply(event(CheckpointCommitted{"intents-1", 10}, 2500)));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{3}, 3000)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{3}, 3500)));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"intents-1", 2, 1, 9}, 4000)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{2}, 4000)));
  ASSERT_TRUE(ledger.apply(event(PriorityChanged{"intents-1", 800}, 5000)));
  ASSERT_TRUE(ledger.apply(event(CancelRequested{"intents-1"}, 6000)));
  EXPECT_FALSE(ledger.apply(event(CancelRequested{"intents-1"}, 6000)));
  const auto page = of(ledger);
  EXPECT_EQ(words_of(page),
            (std::vector<std::string>{"submitted", "placed", "state STARTING", "told_to_leave", "crashed",
                                      "left", "priority 800", "cancel"}));
  EXPECT_FALSE(page.has_gap);
  const auto& placed = page.happenings.at(1);
  EXPECT_EQ(placed.workers, 3U);
  EXPECT_EQ(placed.nodes, (Nodes{{"a", 2}, {"b", 1}}));
  EXPECT_EQ(placed.by, "test");
  EXPECT_EQ(placed.why, "because");
  EXPECT_EQ(placed.at_ms, 2000);
  EXPECT_EQ(page.happenings.at(2).why, "its workers start");
  EXPECT_EQ(page.happenings.at(4).nodes, (Nodes{{"a", 1}}));
}

TEST(History, TellsTheEndOfAWideGangInOneLineWhicheverNodesSaySo) {
  Ledger ledger = with_job();
  for (std::uint64_t worker = 1; worker <= 100; ++worker)
    ASSERT_TRUE(ledger.apply(event(LeaseGranted{worker, "intents-1", "n" + std::to_string(worker)}, 2000)));
  for (std::uint64_t worker = 1; worker <= 100; ++worker) {
    ASSERT_TRUE(ledger.apply({3000, "node n" + std::to_string(worker), "exit code 0", LeaseEnded{worker}}));
  }
  const auto page = of(ledger);
  EXPECT_EQ(words_of(page), (std::vector<std::string>{"submitted", "placed", "left"}));
  EXPECT_EQ(page.happenings.back().workers, 100U);
  EXPECT_EQ(page.happenings.back().by, "node n1");
  EXPECT_FALSE(page.has_gap);
}

TEST(History, TellsWhoHasReadSomeTheRest) {
  Ledger ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "intents-1", "a"}, 2000)));
  const auto first = of(ledger);
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "intents-1", "b"}, 2000)));
  const auto more = of(ledger, "intents-1", first.last);
  ASSERT_EQ(more.happenings.size(), 1U) << "it is told anew";
  EXPECT_EQ(more.happenings[0].workers, 2U);
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{3, "intents-1", "b"}, 9000)));
  const auto later = of(ledger, "intents-1", more.last);
  ASSERT_EQ(later.happenings.size(), 1U);
  EXPECT_EQ(later.happenings[0].workers, 1U) << "it was not at once";
  EXPECT_TRUE(of(ledger, "intents-1", later.last).happenings.empty());
  EXPECT_EQ(words_of(ledger.history().recent(0)),
            (std::vector<std::string>{"submitted", "placed", "placed"}));
  ASSERT_TRUE(ledger.apply(event(NodeDrained{"b", "repair"}, 9000)));
  const auto drained = ledger.history().recent(later.last);
  EXPECT_EQ(words_of(drained), (std::vector<std::string>{"drain"}));
  EXPECT_EQ(drained.happenings[0].nodes, (Nodes{{"b", 0}}));
  EXPECT_EQ(drained.happenings[0].job, "");
}

TEST(History, KeepsTheNewestAndSaysThatThereWereOthers) {
  Ledger ledger = with_job();
  std::uint64_t changes = 0;
  const auto change = [&] {
    ++changes;
    return ledger.apply(event(PriorityChanged{"intents-1", static_cast<std::uint32_t>(changes % 2)}));
  };
  while (changes < History::kMaxOfJob) ASSERT_TRUE(change());
  EXPECT_FALSE(of(ledger).has_gap);
  const auto read = of(ledger).last;
  ASSERT_TRUE(change());
  auto page = of(ledger);
  EXPECT_TRUE(page.has_gap);
  EXPECT_EQ(page.happenings.size(), History::kMaxOfJob + 1) << "with its submission";
  EXPECT_FALSE(of(ledger, "intents-1", read).has_gap) << "whoever has read the others misses nothing";
  while (changes < History::kMaxRecent + 9) ASSERT_TRUE(change());
  EXPECT_EQ(ledger.history().recent(0).happenings.size(), History::kMaxRecent);
  EXPECT_TRUE(ledger.history().recent(0).has_gap);
  EXPECT_FALSE(ledger.history().recent(ledger.history().recent(0).last - 5).has_gap);
}

TEST(History, ForgetsJobsThatEndedLongAgoButNoneThatIsTriedAgain) {
  History history;
  const auto end = [&](const std::string& job) {
    history.add({.what = "state", .job = job, .value = "FAILED"});
    history.end_job(job);
  };
  end("old");
  end("tried-again");
  history.retry_job("tried-again");
  for (std::size_t i = 0; i < History::kMaxEnded; ++i) end("job-" + std::to_string(i));
  EXPECT_TRUE(history.of_job("old", 0).happenings.empty());
  EXPECT_EQ(history.of_job("tried-again", 0).happenings.size(), 1U);
  EXPECT_EQ(history.of_job("job-0", 0).happenings.size(), 1U);
}

TEST(History, SaysThatThereWasMoreOfAJobThatEndedOfWhichNothingIsKept) {
  Ledger ledger = with_job();
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"intents-1", JobState::cancelled, "wanted"}, 2000)));
  EXPECT_FALSE(of(ledger).has_gap);
  auto document = nlohmann::ordered_json::parse(ledger.snapshot());
  document.erase("history");
  document.at("jobs").at(0).erase("happened");
  const auto restored = Ledger::restore(document.dump());
  ASSERT_TRUE(restored);
  EXPECT_TRUE(of(*restored).has_gap);
  EXPECT_EQ(words_of(of(*restored)), (std::vector<std::string>{"submitted"}));
}

TEST(History, NamesAFewNodesOfManyAndIsTheSameAfterASnapshot) {
  Ledger ledger = with_job();
  for (std::uint64_t worker = 1; worker <= 20; ++worker)
    ASSERT_TRUE(ledger.apply(event(LeaseGranted{worker, "intents-1", "n" + std::to_string(worker)}, 2000)));
  ASSERT_TRUE(ledger.apply(event(NodeDrained{"b", "repair"}, 9000)));
  const auto restored = Ledger::restore(ledger.snapshot());
  ASSERT_TRUE(restored);
  for (const Ledger* one : {&std::as_const(ledger), &*restored}) {
    const auto page = of(*one);
    ASSERT_EQ(page.happenings.size(), 2U);
    EXPECT_EQ(page.happenings[1].workers, 20U);
    EXPECT_EQ(page.happenings[1].nodes.size(), History::kMaxNodes);
    EXPECT_EQ(page.last, 22U);
    EXPECT_EQ(one->history().recent(0).happenings.size(), 3U);
  }
}

TEST(History, TellsOfAHeadThatStartsAgainAndAgainTheFirstStartsAndTheNewest) {
  History history;
  history.add({.what = "submitted", .job = "intents-1"});
  const auto start = [&](int number) {
    history.add({.what = "head_started", .why = std::to_string(number), .at_ms = number});
  };
  for (int number = 1; number <= 5000; ++number) start(number);
  auto page = history.recent(0);
  EXPECT_FALSE(page.has_gap);
  ASSERT_EQ(page.happenings.size(), 1 + History::kMaxNodes);
  EXPECT_EQ(page.happenings[0].what, "submitted");
  EXPECT_EQ(page.happenings[1].why, "1");
  EXPECT_EQ(page.happenings.back().why, "5000");
  EXPECT_EQ(page.happenings.back().number, 5001U);
  EXPECT_EQ(page.happenings.back().at_ms, 5000);
  history.add({.what = "joined", .nodes = {{"n", 0}}, .at_ms = 5000});
  start(5001);
  page = history.recent(page.last);
  ASSERT_EQ(page.happenings.size(), 2U) << "it has done something meanwhile";
  EXPECT_EQ(page.happenings.back().why, "5001");
}

TEST(History, TellsOfManyNodesAtOnceTheFirstFewAndTheOthersTogether) {
  History history;
  history.add({.what = "submitted", .job = "intents-1"});
  const auto happen = [&](const std::string& what, std::size_t count, std::int64_t from_ms) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = "n" + std::to_string(i);
      history.add({.what = what,
                   .by = "node " + name,
                   .why = what == "lost" ? "it ended" : "2 slots at " + name,
                   .nodes = {{name, 0}},
                   .at_ms = from_ms + static_cast<std::int64_t>(i / 100)});
    }
  };
  happen("joined", 5000, 1000);
  happen("lost", 3, 9000);
  auto page = history.recent(0);
  EXPECT_FALSE(page.has_gap);
  ASSERT_EQ(page.happenings.size(), 1 + History::kMaxNodes + 3);
  EXPECT_EQ(page.happenings[1].nodes_count, 0U);
  EXPECT_EQ(page.happenings[1].why, "2 slots at n0");
  const auto& others = page.happenings[History::kMaxNodes];
  EXPECT_EQ(others.nodes_count, 5000 - History::kMaxNodes + 1);
  EXPECT_EQ(others.nodes.size(), History::kMaxNodes);
  EXPECT_EQ(others.by, "node n7");
  EXPECT_EQ(others.why, "") << "each has another";
  EXPECT_EQ(others.number, 5001U);
  happen("lost", 20, 10'500);
  page = history.recent(page.last);
  ASSERT_EQ(page.happenings.size(), History::kMaxNodes) << "the three were not at once with these";
  EXPECT_EQ(page.happenings.back().nodes_count, 13U);
  EXPECT_EQ(page.happenings.back().why, "it ended");
  History restored;
  restored.take(history.to_json());
  EXPECT_EQ(restored.recent(0).happenings, history.recent(0).happenings);
  happen("drain", 20, 20'000);
  EXPECT_EQ(history.recent(page.last).happenings.size(), 20U) << "each was asked for";
}

}  // namespace
}  // namespace ds::scheduler
