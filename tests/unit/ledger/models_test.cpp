// Models, their versions and tags, and the jobs that serve them.
#include <gtest/gtest.h>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using testing::event;
using testing::with_job;

constexpr const char* kServeText = R"(
version: 1
kind: serve
name: answers
model: {source: "registry:intents@prod"}
replicas: {min: 1, max: 4}
)";

ModelVersionAdded added(std::uint64_t number, std::uint64_t step) {
  return {"intents",
          {number, "intents-1", step, "ckpt:intents-1@" + std::to_string(step), "", {{"accuracy", 0.5}}}};
}

/// Two versions, of which `prod` is the first, and a job that serves it by two replicas.
Ledger with_served_model() {
  auto ledger = with_job();
  EXPECT_TRUE(ledger.apply(event(added(1, 40), 900)));
  EXPECT_TRUE(ledger.apply(event(added(2, 80), 901)));
  EXPECT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 1})));
  EXPECT_TRUE(ledger.apply(event(JobSubmitted{"answers-1", "key", "serve.yaml", "/data", kServeText}, 1000)));
  EXPECT_TRUE(ledger.apply(event(ModelServed{"answers-1", "intents", {{"prod", 100, 1}}})));
  EXPECT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 2, 2})));
  for (const std::uint64_t worker : {11, 12}) {
    LeaseGranted lease{worker, "answers-1", "node-1", 1, 0};
    lease.version = 1;
    EXPECT_TRUE(ledger.apply(event(lease, 33)));
  }
  EXPECT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 1, {11, 12}, 0, {}})));
  return ledger;
}

const JobRecord& job_of(const Ledger& ledger) {
  return *ledger.find("answers-1");
}

std::string fault_of(const std::variant<ModelRegistry::Found, ModelFault>& found) {
  const auto* fault = std::get_if<ModelFault>(&found);
  return fault == nullptr ? "none" : fault->message + "; " + fault->hint;
}

std::uint64_t found_in(const Ledger& ledger, const char* reference) {
  const auto found = ledger.registry().resolve("intents", reference);
  const auto* version = std::get_if<ModelRegistry::Found>(&found);
  return version == nullptr ? 0 : version->version->number;
}

TEST(ModelRegistry, FindsVersionsByNumberTagAndAge) {
  const auto ledger = with_served_model();
  EXPECT_EQ(found_in(ledger, "2"), 2U);
  EXPECT_EQ(found_in(ledger, "newest"), 2U);
  EXPECT_EQ(found_in(ledger, "prod"), 1U);
  EXPECT_EQ(found_in(ledger, ""), 1U) << "what prod points at";
  EXPECT_EQ(fault_of(ledger.registry().resolve("intent", "")),
            "there is no model \"intent\" in the registry; did you mean intents?");
  EXPECT_EQ(fault_of(ledger.registry().resolve("intents", "3")),
            "model intents has no version 3; it has 1 to 2");
  EXPECT_EQ(fault_of(ledger.registry().resolve("intents", "prd")),
            "model intents has no tag \"prd\"; did you mean prod?");
}

TEST(ModelRegistry, TakesEachVersionAndMoveOnceAndInOrder) {
  auto ledger = with_served_model();
  EXPECT_FALSE(ledger.apply(event(added(2, 90)))) << "its number is taken";
  EXPECT_FALSE(ledger.apply(event(added(4, 90)))) << "a number is left out";
  EXPECT_FALSE(ledger.apply(event(ModelTagged{"intents", "prod", 1}))) << "it is there";
  EXPECT_FALSE(ledger.apply(event(ModelTagged{"intents", "prod", 3}))) << "there is no such version";
  EXPECT_FALSE(ledger.apply(event(ModelTagged{"intents", "12", 1}))) << "a number is no tag";
  EXPECT_NE(ledger.registry().find_same("intents", added(3, 80).version), nullptr);
  EXPECT_EQ(ledger.registry().find_same("intents", added(3, 90).version), nullptr);
}

TEST(ModelRegistry, GoesBackTheWayThatATagCame) {
  auto ledger = with_served_model();
  EXPECT_NE(fault_of(ledger.registry().find_former("intents", "prod")).find("nothing before version 1"),
            std::string::npos);
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  EXPECT_FALSE(ledger.apply(event(ModelTagged{"intents", "prod", 2, true}))) << "it was 1 before";
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 1, true})));
  EXPECT_EQ(found_in(ledger, "prod"), 1U);
  EXPECT_FALSE(ledger.apply(event(ModelTagged{"intents", "prod", 1, true}))) << "there is nothing before";
}

TEST(ModelRegistry, SaysWhichBoundIsReached) {
  ModelRegistry registry;
  for (std::size_t i = 1; i <= ModelRegistry::kMostVersions; ++i) {
    ASSERT_FALSE(registry.check_room("m", ""));
    ASSERT_TRUE(registry.add("m", {i, "job-1", i, "ckpt:job-1"}));
  }
  EXPECT_NE(registry.check_room("m", "").value_or(ModelFault{}).message.find("500 versions"),
            std::string::npos);
  EXPECT_FALSE(registry.add("m", {ModelRegistry::kMostVersions + 1, "job-1", 9, "ckpt:job-1"}));
  for (std::size_t i = 1; i < ModelRegistry::kMostModels; ++i)
    ASSERT_TRUE(registry.add("m" + std::to_string(i), {1, "job-1", i, "ckpt:job-1"}));
  EXPECT_NE(registry.check_room("more", "").value_or(ModelFault{}).message.find("200 models"),
            std::string::npos);
  for (std::size_t i = 0; i < ModelRegistry::kMostTags; ++i)
    ASSERT_TRUE(registry.point("m1", "t" + std::to_string(i), 1, false));
  EXPECT_NE(registry.check_room("m1", "more").value_or(ModelFault{}).message.find("32 tags"),
            std::string::npos);
  EXPECT_FALSE(registry.check_room("m1", "t3")) << "it has that one";
  for (std::uint64_t i = 0; i < 3 * ModelRegistry::kMostMoves; ++i)
    registry.point("m", "prod", 1 + i % ModelRegistry::kMostVersions, false);
  EXPECT_EQ(registry.find("m")->tags.at("prod").size(), ModelRegistry::kMostMoves);
}

TEST(ModelRegistry, KeepsTheCheckpointsThatItsVersionsAre) {
  auto ledger = with_served_model();
  EXPECT_EQ(ledger.needed_steps("intents-1"), (std::vector<std::uint64_t>{40, 80}));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"answers-1", JobState::cancelled, ""})));
  EXPECT_EQ(ledger.needed_steps("intents-1"), (std::vector<std::uint64_t>{40, 80}))
      << "though nobody serves them";
}

TEST(ModelRegistry, ForgetsWhatIsRemovedAndGivesItsNumberToNoOther) {
  auto ledger = with_served_model();
  ASSERT_TRUE(ledger.apply(event(added(3, 90))));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "best", 3})));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "best", 2})));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "best", 3})));
  const auto fault = [&](std::uint64_t version) {
    return ledger.registry().check_removal("intents", version).value_or(ModelFault{"none", ""}).message;
  };
  EXPECT_EQ(fault(3), "tag best of model intents points at version 3");
  EXPECT_EQ(fault(4), "model intents has no version 4");
  EXPECT_EQ(fault(2), "none");
  ASSERT_TRUE(ledger.apply(event(ModelRemoved{"intents", 2})));
  EXPECT_FALSE(ledger.apply(event(ModelRemoved{"intents", 2}))) << "it is gone";
  EXPECT_EQ(ledger.registry().find("intents")->tags.at("best"), std::vector<std::uint64_t>{3})
      << "it came from 3, too";
  EXPECT_EQ(found_in(ledger, "2"), 0U);
  EXPECT_EQ(found_in(ledger, "3"), 3U);
  EXPECT_EQ(ledger.needed_steps("intents-1"), (std::vector<std::uint64_t>{40, 90}))
      << "nobody needs its checkpoint";
  const auto restored = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(restored.registry(), ledger.registry());
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "best", 1})));
  ASSERT_TRUE(ledger.apply(event(ModelRemoved{"intents", 3})));
  EXPECT_EQ(fault(1), "tag best of model intents points at version 1");
  EXPECT_FALSE(ledger.apply(event(added(3, 80)))) << "that number was another version's";
  EXPECT_TRUE(ledger.apply(event(added(4, 80))));
}

TEST(ModelRegistry, KeepsWhatAJobServesOrMayGoBackTo) {
  auto ledger = with_served_model();
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ledger.servers_of("intents", 1), Ids{"answers-1"});
  EXPECT_EQ(ledger.servers_of("intents", 2), Ids{});
  EXPECT_FALSE(ledger.apply(event(ModelRemoved{"intents", 0})));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  EXPECT_EQ(ledger.servers_of("intents", 1), Ids{"answers-1"}) << "it may go back";
  EXPECT_FALSE(ledger.apply(event(ModelRemoved{"intents", 1})));
  ASSERT_TRUE(ledger.apply(event(VersionProved{"answers-1", 2})));
  EXPECT_FALSE(ledger.apply(event(ModelRemoved{"intents", 1}))) << "two replicas of it are there";
  for (const std::uint64_t worker : {11, 12}) ASSERT_TRUE(ledger.apply(event(LeaseEnded{worker})));
  EXPECT_TRUE(ledger.apply(event(ModelRemoved{"intents", 1})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"answers-1", JobState::cancelled, ""})));
  EXPECT_TRUE(ledger.has_versions(job_of(ledger)));
  EXPECT_TRUE(ledger.apply(event(ModelRemoved{"intents", 0})));
  EXPECT_EQ(ledger.registry().find("intents"), nullptr);
  EXPECT_FALSE(ledger.has_versions(job_of(ledger))) << "it can't be tried again";
  EXPECT_EQ(ledger.needed_steps("intents-1"), std::vector<std::uint64_t>{});
}

TEST(ModelRegistry, IsTheSameAfterASnapshot) {
  auto ledger = with_served_model();
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  const auto restored = Ledger::restore(ledger.snapshot()).value();
  EXPECT_EQ(restored.registry(), ledger.registry());
  EXPECT_EQ(job_of(restored).lines, job_of(ledger).lines);
  EXPECT_EQ(job_of(restored).live, (VersionCounts{{1, 2}}));
  EXPECT_EQ(restored.leases().at(11).version, 1U);
  EXPECT_EQ(restored.followers("intents", "prod"), std::vector<std::string>{"answers-1"});
}

TEST(Ledger, WantsOneReplicaMoreWhileVersionsChange) {
  auto ledger = with_served_model();
  EXPECT_EQ(job_of(ledger).wanted(), (WorkerCount{1, 2}));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  EXPECT_EQ(job_of(ledger).versions(), (VersionCounts{{2, 2}}));
  EXPECT_EQ(job_of(ledger).wanted(), (WorkerCount{3, 3}));
  EXPECT_TRUE(ledger.take_changed().contains("answers-1")) << "the planner would not hear of it";
  LeaseGranted lease{13, "answers-1", "node-1", 1, 0};
  lease.version = 2;
  ASSERT_TRUE(ledger.apply(event(lease, 44)));
  ASSERT_TRUE(ledger.apply(event(LeaseReleasing{11})));
  EXPECT_EQ(job_of(ledger).live, (VersionCounts{{1, 1}, {2, 1}}));
  EXPECT_EQ(job_of(ledger).wanted().max, 3U);
  ASSERT_TRUE(ledger.apply(event(WorkersScaled{"answers-1", 0, 0})));
  EXPECT_EQ(job_of(ledger).wanted(), (WorkerCount{0, 0})) << "it is put to sleep meanwhile";
}

TEST(Ledger, ServesTheVersionBeforeWhereTheNewOneCantBe) {
  auto ledger = with_served_model();
  EXPECT_FALSE(ledger.apply(event(RolloutStopped{"answers-1", 1, "?"}))) << "it is what is served";
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 2, "its file is damaged"})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 1, 1, 2, "its file is damaged"}));
  EXPECT_EQ(job_of(ledger).wanted().max, 2U) << "all is as it was";
  ASSERT_TRUE(ledger.apply(event(added(3, 90))));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 3, 1, 0, ""})) << "the next is tried";
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 3, "nor this"})));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 1})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 1, 1, 0, ""}))
      << "nothing is amiss any more";
}

/// With a replica of the version 2 in the place of one of version 1.
Ledger with_new_version_ready() {
  auto ledger = with_served_model();
  EXPECT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  LeaseGranted lease{13, "answers-1", "node-1", 1, 0};
  lease.version = 2;
  EXPECT_TRUE(ledger.apply(event(lease, 44)));
  EXPECT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 2, {12, 13}, 0, {}})));
  return ledger;
}

TEST(Ledger, GoesBackFromAVersionThatWasReadyUntilItIsProved) {
  auto ledger = with_new_version_ready();
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 2, 1, 0, "", 2}));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 2, "it crashes"})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 1, 1, 2, "it crashes"}));
  auto proved = with_new_version_ready();
  ASSERT_TRUE(proved.apply(event(VersionProved{"answers-1", 2})));
  EXPECT_EQ(job_of(proved).lines.front(), (ServedLine{"prod", 100, 2, 2, 0, ""}));
  EXPECT_FALSE(proved.apply(event(VersionProved{"answers-1", 2}))) << "it is already";
  EXPECT_FALSE(proved.apply(event(RolloutStopped{"answers-1", 2, "?"}))) << "it has served";
}

TEST(Ledger, GoesBackToWhatServedLastThoughThatIsNotProvedYet) {
  auto ledger = with_new_version_ready();
  ASSERT_TRUE(ledger.apply(event(added(3, 90))));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
  ledger = Ledger::restore(ledger.snapshot()).value();
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 3, "it never gets ready"})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 2, 1, 3, "it never gets ready", 2}));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 2, "it crashes"})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 1, 1, 2, "it crashes"}));
}

TEST(Ledger, GoesBackToWhatWasProvedWhereTheRecordIsOfAHeadBefore) {
  auto ledger = with_new_version_ready();
  ASSERT_TRUE(ledger.apply(event(added(3, 90))));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 3, "it never gets ready", true, false})));
  EXPECT_EQ(job_of(ledger).lines.front().version, 1U);
}

TEST(Ledger, GoesBackToWhatServedBeforeAVersionThatWasReadyAndCrashes) {
  auto ledger = with_new_version_ready();
  ASSERT_TRUE(ledger.apply(event(added(3, 90))));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
  LeaseGranted lease{14, "answers-1", "node-1", 1, 0};
  lease.version = 3;
  ASSERT_TRUE(ledger.apply(event(lease, 44)));
  ASSERT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 3, {13, 14}, 0, {}})));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 3, "it crashes"})));
  EXPECT_EQ(job_of(ledger).lines.front().version, 2U);
}

TEST(Ledger, ForgetsAVersionThatWasRolledBack) {
  auto ledger = with_new_version_ready();
  ASSERT_TRUE(ledger.apply(event(added(3, 90))));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 1})));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
  EXPECT_EQ(job_of(ledger).fallback_of(job_of(ledger).lines.front()), 1U);
}

TEST(Ledger, LetsTheLargestPartThatServesStandInForAFirstVersionThatNeverDid) {
  auto ledger = with_served_model();
  ASSERT_TRUE(ledger.apply(event(added(3, 90))));
  const std::vector<ServedLine> lines{{"", 70, 1, 1}, {"", 20, 2, 2}, {"", 10, 3}};
  ASSERT_TRUE(ledger.apply(event(ModelServed{"answers-1", "intents", lines})));
  EXPECT_EQ(job_of(ledger).fallback_of(lines[2]), 1U);
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 3, "it never gets ready"})));
  EXPECT_EQ(job_of(ledger).lines[2], (ServedLine{"", 10, 1, 0, 3, "it never gets ready"}));
  EXPECT_FALSE(job_of(ledger).versions().contains(3));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  EXPECT_EQ(job_of(ledger).lines[2].refused, 3U) << "no tag is meant";
}

/// `prod` is version 1 and `canary` version 2, which was ready first or last; neither is proved.
Ledger with_canary(bool is_ready_first) {
  auto ledger = with_served_model();
  EXPECT_TRUE(ledger.apply(event(added(3, 90))));
  EXPECT_TRUE(ledger.apply(event(ModelTagged{"intents", "canary", 2})));
  EXPECT_TRUE(ledger.apply(event(ModelServed{"answers-1", "intents", {{"prod", 90, 1}, {"canary", 10, 2}}})));
  LeaseGranted lease{13, "answers-1", "node-1", 1, 0};
  lease.version = 2;
  EXPECT_TRUE(ledger.apply(event(lease, 44)));
  const std::uint64_t first = is_ready_first ? 13 : 11;
  EXPECT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 2, {first}, 0, {}})));
  EXPECT_TRUE(ledger.apply(event(GenerationFormed{"answers-1", 3, {11, 13}, 0, {}})));
  return ledger;
}

TEST(Ledger, GoesBackToAPartsOwnVersionThoughAnothersWasReadyBefore) {
  for (const bool canary_first : {true, false}) {
    SCOPED_TRACE(canary_first);
    auto ledger = with_canary(canary_first);
    ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
    ledger = Ledger::restore(ledger.snapshot()).value();
    EXPECT_FALSE(ledger.apply(event(ModelRemoved{"intents", 1}))) << "it may go back";
    const auto back = job_of(ledger).fallback_of(job_of(ledger).lines[0]);
    EXPECT_EQ(back, 1U);
    ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 3, "it never gets ready"})));
    EXPECT_EQ(job_of(ledger).lines[0].version, 1U) << "not the canary's";
    EXPECT_EQ(job_of(ledger).lines[0].refused, 3U);
  }
}

TEST(Ledger, LetsAnotherPartStandInForAFirstVersionThatWasReadyAndCrashes) {
  auto ledger = with_canary(true);
  EXPECT_EQ(job_of(ledger).fallback_of(job_of(ledger).lines[0]), 2U);
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 1, "it crashes"})));
  EXPECT_EQ(job_of(ledger).lines[0].version, 2U);
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
  EXPECT_EQ(job_of(ledger).fallback_of(job_of(ledger).lines[0]), 2U) << "not to what crashed";
}

TEST(Ledger, GoesBackAsHeadsBeforeDidWhereTheRecordIsTheirs) {
  auto ledger = with_canary(true);
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 3})));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 3, "it never gets ready", false})));
  EXPECT_EQ(job_of(ledger).lines[0].version, 2U) << "heads before went on from there";
}

TEST(Ledger, TriesARefusedVersionAgainWhenItsTagIsPromotedToItOnceMore) {
  auto ledger = with_served_model();
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 2, "no memory"})));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "canary", 1})));
  EXPECT_EQ(job_of(ledger).lines.front().refused, 2U) << "another tag is none of its business";
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 2, 1, 0, ""}));
  EXPECT_EQ(ledger.registry().find("intents")->tags.at("prod"), (std::vector<std::uint64_t>{1, 2}))
      << "a rollback still leads to 1";
  EXPECT_FALSE(ledger.apply(event(ModelTagged{"intents", "prod", 2}))) << "now it is as it is";
}

TEST(Ledger, ServesWhatATagPointsAtWhenAJobIsRetried) {
  auto ledger = with_served_model();
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"answers-1", JobState::cancelled, ""})));
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  EXPECT_EQ(job_of(ledger).lines.front().version, 1U);
  ASSERT_TRUE(ledger.apply(event(JobRetried{"answers-1"})));
  EXPECT_EQ(job_of(ledger).lines.front().version, 2U);
}

TEST(Ledger, ServesWhatATagPointsAtWhenAJobIsRetriedWhoseVersionWasRemoved) {
  auto ledger = with_served_model();
  ASSERT_TRUE(ledger.apply(event(ModelTagged{"intents", "prod", 2})));
  ASSERT_TRUE(ledger.apply(event(RolloutStopped{"answers-1", 2, "no memory"})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"answers-1", JobState::cancelled, ""})));
  for (const std::uint64_t worker : {11, 12}) ASSERT_TRUE(ledger.apply(event(LeaseEnded{worker})));
  ASSERT_TRUE(ledger.apply(event(ModelRemoved{"intents", 1})));
  ASSERT_TRUE(ledger.apply(event(JobRetried{"answers-1"})));
  EXPECT_EQ(job_of(ledger).lines.front(), (ServedLine{"prod", 100, 2, 0, 0, ""}));
}

TEST(Ledger, DoesNotTakeAnotherModelOfTheNameForTheOneThatAJobHasServed) {
  auto ledger = with_served_model();
  const std::vector<ServedLine> by_number{{"", 100, 1}};
  ASSERT_TRUE(ledger.apply(event(ModelServed{"answers-1", "intents", by_number})));
  ASSERT_TRUE(ledger.apply(event(JobStateChanged{"answers-1", JobState::cancelled, ""})));
  for (const std::uint64_t worker : {11, 12}) ASSERT_TRUE(ledger.apply(event(LeaseEnded{worker})));
  EXPECT_TRUE(ledger.has_versions(job_of(ledger)));
  ASSERT_TRUE(ledger.apply(event(ModelRemoved{"intents", 0})));
  ASSERT_TRUE(ledger.apply(event(added(1, 80))));
  EXPECT_FALSE(ledger.has_versions(job_of(ledger))) << "version 1 is another one now";
}

}  // namespace
}  // namespace ds::scheduler
