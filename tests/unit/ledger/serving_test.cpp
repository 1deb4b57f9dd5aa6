// What a ledger knows of jobs that serve models.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scheduler/policy/departures.hpp"
#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using testing::event;
using testing::with_job;

constexpr const char* kServeText = R"(
version: 1
kind: serve
name: answers
model: {source: "ckpt:intents@best"}
replicas: {min: 0, max: 4}
)";

Ledger with_serve_job() {
  auto ledger = with_job();
  EXPECT_TRUE(ledger.apply(event(JobSubmitted{"answers-1", "key", "serve.yaml", "/data", kServeText}, 1000)));
  EXPECT_TRUE(ledger.apply(event(CheckpointChosen{"answers-1", "intents-1", 40})));
  return ledger;
}

WorkerCount wanted(const Ledger& ledger) {
  for (const auto& demand : ledger.demands(0)) {
    if (demand.job == "answers-1") return demand.workers;
  }
  return {0, 0};
}

TEST(Ledger, WantsReplicasOneByOneUpToWhatTheirLoadAsksFor) {
  auto ledger = with_serve_job();
  EXPECT_EQ(wanted(ledger), (WorkerCount{1, 1})) << "one shows that the model can be served";
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 3, 3})));
  EXPECT_EQ(wanted(ledger), (WorkerCount{1, 3}));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "answers-1", "node-1", 1, 0}, 33)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(wanted(ledger), (WorkerCount{2, 3})) << "whoever serves goes on without the next";
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 0, 0})));
  EXPECT_EQ(wanted(ledger), (WorkerCount{0, 0})) << "it sleeps";
  EXPECT_FALSE(ledger.apply(event(WorkersScaled{"answers-1", 5, 5}))) << "more than replicas.max";
}

TEST(Ledger, KnowsAReplicaThatIsOneMoreFromOneThatWasLost) {
  auto ledger = with_serve_job();
  const auto is_extra = [&] {
    const auto demands = ledger.demands(0);
    return std::ranges::find(demands, "answers-1", &Demand::job)->is_extra;
  };
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 3, 3})));
  EXPECT_FALSE(is_extra()) << "one is the least";
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "answers-1", "node-1", 1, 0}, 33)));
  EXPECT_TRUE(is_extra());
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "answers-1", "node-1", 1, 0}, 34)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 35)));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_FALSE(is_extra()) << "it had two";
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{3, "answers-1", "node-1", 1, 0}, 36)));
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 1, 1})));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{3}, 37)));
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 2, 2})));
  EXPECT_TRUE(is_extra()) << "it had given one back";
}

/// Else it would have back before a gang what it has just given that, for ever.
TEST(Ledger, LetsAPreemptibleModelGiveWhatIsAboveItsMinimumAndWaitItsTurnForMore) {
  Ledger ledger;
  std::string text = kServeText;
  text.replace(text.find("min: 0"), 6, "min: 2");
  ASSERT_TRUE(ledger.apply(
      event(JobSubmitted{"answers-1", "key", "serve.yaml", "/data", text + "preemptible: true\n"}, 1000)));
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 4, 4})));
  const auto demand = [&] { return ledger.demands(0).front(); };
  for (std::uint64_t worker = 1; worker <= 4; ++worker) {
    EXPECT_EQ(demand().is_extra, worker > 2) << worker;
    ASSERT_TRUE(ledger.apply(event(LeaseGranted{worker, "answers-1", "node-1", 1, 0}, 33)));
  }
  EXPECT_EQ(wanted(ledger), (WorkerCount{2, 4})) << "two of them are spare";
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{4}, 34)));
  EXPECT_TRUE(demand().is_extra);
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{3}, 35)));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{2}, 36)));
  EXPECT_FALSE(demand().is_extra) << "it lacks one that it must have";
}

TEST(Ledger, LetsAServeJobGoOnWithOneReplicaWhenItWantsMore) {
  auto ledger = with_serve_job();
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 4, 4})));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "answers-1", "node-1", 1, 0}, 33)));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "answers-1", "node-2", 1, 0}, 34)));
  EXPECT_EQ(wanted(ledger), (WorkerCount{3, 4}));
  auto demands = ledger.demands(0);
  std::erase_if(demands, [](const Demand& one) { return one.job != "answers-1"; });
  ASSERT_EQ(demands.size(), 1U);
  EXPECT_EQ(ledger.find("answers-1")->least(), 1U);
  demands[0].workers.min = ledger.find("answers-1")->least();
  // A node is drained, and nothing is free on the other.
  const std::vector<NodeView> nodes{{"node-1", 1, 1 << 30, true}, {"node-2", 1, 1 << 30, false}};
  const auto planned =
      plan_with_departures(nodes, ledger.leases_of("answers-1"), demands, {}, {}, {"node-2"});
  ASSERT_EQ(planned.departures.size(), 1U);
  EXPECT_EQ(planned.departures[0].worker, 2U);
  EXPECT_TRUE(planned.stopped.empty()) << "the endpoint would be gone";
  EXPECT_EQ(ledger.find("intents-1")->least(), ledger.find("intents-1")->wanted().min) << "a gang needs all";
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 0, 0})));
  EXPECT_EQ(ledger.find("answers-1")->least(), 0U) << "it sleeps";
}

TEST(Ledger, FindsJobsByTheirNameWhereAnIdIsTheSame) {
  auto ledger = with_serve_job();
  std::string text = kServeText;
  text.replace(text.find("answers"), 7, "answers-1");
  ASSERT_TRUE(ledger.apply(event(JobSubmitted{"answers-1-1", "other", "serve.yaml", "/data", text}, 1001)));
  ASSERT_EQ(ledger.match("answers-1").size(), 1U);
  EXPECT_EQ(ledger.match("answers-1")[0]->id, "answers-1");
  ASSERT_EQ(ledger.named("answers-1").size(), 1U);
  EXPECT_EQ(ledger.named("answers-1")[0]->id, "answers-1-1");
}

TEST(Ledger, KnowsWhichCheckpointsAreServedUntilTheJobsThatDoEnd) {
  auto ledger = with_serve_job();
  EXPECT_FALSE(ledger.apply(event(CheckpointChosen{"intents-1", "intents-1", 40}))) << "it serves nothing";
  EXPECT_FALSE(ledger.apply(event(CheckpointChosen{"answers-1", "nobody-1", 40})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(ledger.needed_steps("intents-1"), std::vector<std::uint64_t>{40});
  EXPECT_TRUE(ledger.needed_steps("answers-1").empty());
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"answers-1", JobState::cancelled, ""})));
  EXPECT_TRUE(ledger.needed_steps("intents-1").empty());
}

constexpr const char* kFileText = R"(
version: 1
kind: serve
name: files
model: {source: "file:model.pt"}
replicas: {min: 1, max: 4}
)";

/// Its first version is ready.
Ledger with_served_file(const std::string& digest = "one") {
  auto ledger = with_job();
  EXPECT_TRUE(ledger.apply(event(JobSubmitted{"files-1", "key", "serve.yaml", "/data", kFileText}, 1000)));
  EXPECT_TRUE(ledger.apply(event(FileServed{"files-1", 1, digest})));
  LeaseGranted lease{1, "files-1", "node-1", 1, 0};
  lease.version = 1;
  EXPECT_TRUE(ledger.apply(event(lease, 33)));
  EXPECT_TRUE(ledger.apply(event(GenerationFormed{"files-1", 1, {1}, 0, {}})));
  return ledger;
}

TEST(Ledger, KnowsAFilesVersionsByTheirContent) {
  auto ledger = with_served_file();
  const auto& job = *ledger.find("files-1");
  EXPECT_EQ(job.version_of_file("one"), 1U);
  EXPECT_EQ(job.version_of_file("two"), 2U);
  EXPECT_FALSE(ledger.apply(event(FileServed{"files-1", 1, "one"}))) << "it does";
  EXPECT_FALSE(ledger.apply(event(FileServed{"files-1", 1, "two"}))) << "a version is what it was";
  EXPECT_FALSE(ledger.apply(event(FileServed{"intents-1", 1, "one"}))) << "it serves nothing";
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"files-1", 2, 2, 99})));
  ASSERT_TRUE(ledger.apply(event(FileServed{"files-1", 2, "two"})));
  EXPECT_EQ(job.versions(), (VersionCounts{{2, 1}}));
  EXPECT_EQ(job.fallback_of(job.lines.front()), 1U) << "a replica of it is there";
  EXPECT_EQ(job.retry_at_ms, 0) << "the new one need not wait for what the old one did";
  ledger = Ledger::restore(ledger.snapshot()).value();
  const auto& restored = *ledger.find("files-1");
  EXPECT_EQ(restored.files, (std::map<std::uint64_t, std::string>{{1, "one"}, {2, "two"}}));
  ASSERT_TRUE(ledger.apply(event(FileServed{"files-1", 1, "one"})));
  EXPECT_EQ(restored.versions(), (VersionCounts{{1, 1}})) << "the file is what it was before";
}

TEST(Ledger, GoesBackToNoVersionOfAFileThatNoReplicaHas) {
  auto ledger = with_served_file();
  const auto& job = *ledger.find("files-1");
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{1})));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1})));
  ASSERT_TRUE(ledger.apply(event(FileServed{"files-1", 2, "two"})));
  EXPECT_EQ(job.fallback_of(job.lines.front()), 0U);
  EXPECT_FALSE(ledger.apply(event(RolloutStopped{"files-1", 2, "no model"})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"files-1", JobState::cancelled, ""})));
  ASSERT_TRUE(ledger.apply(event(JobRetried{"files-1"})));
  EXPECT_EQ(job.versions(), (VersionCounts{{2, 1}})) << "no registry has to know of it";
  EXPECT_TRUE(ledger.has_versions(job));
}

TEST(Ledger, LearnsWhatAVersionOfAFileIsOnce) {
  auto ledger = with_served_file("");
  const auto& job = *ledger.find("files-1");
  EXPECT_EQ(job.version_of_file(""), 2U) << "nobody can tell whether it is the same";
  ASSERT_TRUE(ledger.apply(event(FileServed{"files-1", 1, "one"})));
  EXPECT_EQ(job.files.at(1), "one");
  EXPECT_FALSE(ledger.apply(event(FileServed{"files-1", 1, "two"})));
}

TEST(Ledger, KnowsAJobByTheKeysOfItsLaterSubmissions) {
  auto ledger = with_served_file();
  EXPECT_FALSE(ledger.apply(event(JobSubmittedAgain{"files-1", ""})));
  EXPECT_FALSE(ledger.apply(event(JobSubmittedAgain{"files-1", "key"}))) << "it is that of its first";
  EXPECT_FALSE(ledger.apply(event(JobSubmittedAgain{"files-2", "again"}))) << "there is no such job";
  ASSERT_TRUE(ledger.apply(event(JobSubmittedAgain{"files-1", "again"})));
  EXPECT_FALSE(ledger.apply(event(JobSubmittedAgain{"files-1", "again"})));
  EXPECT_FALSE(ledger.apply(event(JobSubmittedAgain{"intents-1", "again"}))) << "one key, one job";
  EXPECT_FALSE(ledger.apply(event(JobSubmitted{"files-2", "again", "serve.yaml", "/data", kFileText})));
  const auto key_of = [](int number) { return "key-" + std::to_string(number); };
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(ledger.apply(event(JobSubmittedAgain{"files-1", key_of(i)})));
  const auto check = [&] {
    ASSERT_NE(ledger.find_by_key(key_of(99)), nullptr);
    EXPECT_EQ(ledger.find_by_key(key_of(99))->id, "files-1");
    EXPECT_LT(ledger.find("files-1")->later_keys.size(), 100U);
    EXPECT_EQ(ledger.find_by_key("again"), nullptr) << "so many are not kept";
    EXPECT_TRUE(ledger.is_forgotten_key("again")) << "and yet it does nothing a second time";
  };
  check();
  ledger = Ledger::restore(ledger.snapshot()).value();
  check();
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"files-1", JobState::cancelled, ""})));
  EXPECT_FALSE(ledger.apply(event(JobSubmittedAgain{"files-1", "late"})));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1})));
  ASSERT_TRUE(ledger.apply(event(JobForgotten{"files-1"})));
  EXPECT_EQ(ledger.find_by_key(key_of(99)), nullptr);
  EXPECT_TRUE(ledger.is_forgotten_key(key_of(99)));
}

TEST(Ledger, ForgetsOldVersionsOfAFileButThoseInUse) {
  auto ledger = with_served_file();
  for (std::uint64_t version = 2; version <= 40; ++version)
    ASSERT_TRUE(ledger.apply(event(FileServed{"files-1", version, std::to_string(version)})));
  const auto& job = *ledger.find("files-1");
  EXPECT_LE(job.files.size(), 20U);
  EXPECT_TRUE(job.files.contains(1)) << "a replica has it";
  EXPECT_EQ(job.version_of_file("39"), 39U);
  EXPECT_EQ(job.version_of_file("2"), 41U) << "forgotten, so it is new";
}

TEST(Ledger, CountsCrashesInARowOfReplicasAnewOnceOneIsReady) {
  auto ledger = with_serve_job();
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "answers-1", "node-1", 1, 0}, 33)));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"answers-1", 1, 2, 99})));
  EXPECT_EQ(ledger.find("answers-1")->crashes_in_a_row, 2U);
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 1, {1}, 0, {}})));
  EXPECT_EQ(ledger.find("answers-1")->crashes_in_a_row, 0U);
}

TEST(Ledger, BlamesNoNodeForAModelThatNeverWasServedElsewhere) {
  auto ledger = with_serve_job();
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 1, 1})));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{1, "answers-1", "node-1", 1, 0}, 10)));
  ASSERT_TRUE(ledger.apply(event(WorkerCrashed{"answers-1", 1, 1, 0, "node-1"}, 20)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{1}, 20)));
  EXPECT_EQ(ledger.early_crashes(), (std::vector<EarlyCrash>{{"node-1", "answers-1", 20, true}}));
  ASSERT_TRUE(ledger.apply(event(LeaseGranted{2, "answers-1", "node-2", 1, 0}, 30)));
  EXPECT_TRUE(ledger.sound_runs(100'000).empty()) << "it is not ready";
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 1, {2}, 0, {}}, 40)));
  EXPECT_EQ(ledger.sound_runs(40), (std::set<SoundRun>{{"node-2", "answers-1"}}));
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 2, {}, 0, {}}, 50)));
  ASSERT_TRUE(ledger.apply(event(LeaseEnded{2}, 50)));
  EXPECT_EQ(ledger.sound_runs(50), (std::set<SoundRun>{{"node-2", "answers-1"}}));
}

}  // namespace
}  // namespace ds::scheduler
