#include "scheduler/ledger/event.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/ledger/ledger_events.hpp"

namespace ds::scheduler {
namespace {

using namespace testing;

TEST(Event, ComesBackFromItsText) {
  const std::vector<Event::Body> bodies{
      submitted("a", "k"),
      JobSubmitted{"a", "", "f", "/d", "text", {"b-1", "c-2"}},
      JobSubmittedAgain{"a", "k2"},
      LeaseGranted{1, "a", "n", 2, 3, Role::server},
      LeaseGranted{2, "a", "n", 2, 3, Role::worker, {0, 3}},
      LeaseGranted{4, "a", "n", SlotCount::of_thousandths(1), 3},
      LeaseReleasing{4, true},
      LeaseEnded{5},
      GenerationFormed{"a", 6, {7, 8}, 9, {10}},
      JobStateChanged{"a", JobState::resizing, "why \"so\"\n"},
      CancelRequested{"a"},
      JobSized{"a", 10, 11},
      EvaluationRecorded{"a", 12, 0.1, {{"accuracy", 1.0 / 3.0}}, 1e-300},
      CheckpointCommitted{"a", 13},
      WorkerCrashed{"a", 14, 15, 16, "node-1"},
      PauseRequested{"a"},
      ResumeRequested{"a"},
      NodeDrained{"n", "a fan is loud"},
      NodeUndrained{"n"},
      TimeLimitReached{"a"},
      JobRetried{"a"},
      JobForgotten{"a"},
      PriorityChanged{"a", 17},
      WorkersScaled{"a", 2, 3},
      NodeQuarantined{"n", "workers crash"},
      NodeCordoned{"n"},
      NodeJoined{"n"},
      NodeLost{"n", true},
      QuarantineLifted{"n"},
      RankFinished{"a", 18},
      SpeedMeasured{"a", 19, 20, 0.1, 1.0 / 3.0, 1e-9},
      SpeedMeasured{"a", 19, 20, 0.1, 1.0 / 3.0, 1e-9, 4},
      BatchChanged{"a", 64, 256},
      CheckpointChosen{"a", "b", 21},
      LeaseGranted{3, "a", "n", 2, 3, Role::worker, {}, 22},
      ModelVersionAdded{"m", {23, "b", 24, "ckpt:b@24", "sum", {{"accuracy", 1.0 / 3.0}}, 25}},
      ModelTagged{"m", "prod", 26, true},
      ModelServed{"a", "m", {{"prod", 90, 27}, {"", 10, 28}}},
      RolloutStopped{"a", 29, "why", true},
      VersionProved{"a", 29},
      FileServed{"a", 30, "sum"},
      ModelRemoved{"m", 29},
      DeadlinePromised{"a", 22, 23},
      DeadlineMissed{"a"},
      HeadStarted{"1.2"},
      TenantsChanged{"tenants: {a: {guaranteed: 1}}\n", true},
  };
  ASSERT_EQ(bodies.size(), 5 + std::variant_size_v<Event::Body>);
  for (const auto& body : bodies) {
    const auto original = event(body, 1234567890123);
    EXPECT_EQ(event_from(to_text(original)), original) << to_text(original);
  }
}

TEST(Event, OfASpeedThatWasWrittenBeforeBatchesCouldGrowIsOfOne) {
  const std::string text = to_text(event(SpeedMeasured{"a", 2, 1, 0.5, 0.25, 0}));
  EXPECT_EQ(text.find("batches"), std::string::npos) << text;
  EXPECT_EQ(std::get<SpeedMeasured>(event_from(text)->body).batches, 1U);
}

TEST(Event, HasWholeSlotsAsItAlwaysHadAndPartsOfThemExactly) {
  const auto text_of = [](SlotCount slots) { return to_text(event(LeaseGranted{1, "a", "n", slots, 3})); };
  EXPECT_NE(text_of(2).find("\"slots\":2,"), std::string::npos) << text_of(2);
  for (std::uint64_t thousandths = 0; thousandths < 5000; ++thousandths) {
    const auto slots = SlotCount::of_thousandths(thousandths);
    EXPECT_NE(text_of(slots).find("\"slots\":" + number_text(slots) + ","), std::string::npos) << slots;
    const auto read = event_from(text_of(slots));
    ASSERT_TRUE(read.has_value()) << slots;
    EXPECT_EQ(std::get<LeaseGranted>(read->body).slots, slots);
  }
  auto text = text_of(2);
  text.replace(text.find("\"slots\":2"), 9, "\"slots\":0.0001");
  EXPECT_FALSE(event_from(text).has_value()) << "no head has granted that";
}

TEST(Event, IsExactlyWhatItsTextSaysUnlessJsonCannotSayIt) {
  const auto event_why = [](std::string why) {
    return Event{1, "worker 1", std::move(why), JobStateChanged{"a", JobState::failed, "a \"text\"\n"}};
  };
  for (const auto* why : {"plain", "Grüße \u0001 \\ /", ""}) {
    const auto written = write_event(event_why(why));
    EXPECT_TRUE(written.is_exact);
    EXPECT_EQ(event_from(written.text), event_why(why));
  }
  const auto damaged = write_event(event_why("\xff"));
  EXPECT_FALSE(damaged.is_exact);
  ASSERT_TRUE(event_from(damaged.text));
  EXPECT_NE(event_from(damaged.text), event_why("\xff"));
  EXPECT_FALSE(write_event({1, "", "", EvaluationRecorded{"a", 1, 0.5, {}, 0}}).is_exact);
}

TEST(Event, OfALeaseWithoutARoleIsAWorkers) {
  const auto event = event_from(
      R"({"at":1,"by":"","why":"","type":"lease_granted","fields":{"worker":1,"job":"a","node":"n","slots":2,"memory_bytes":3}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<LeaseGranted>(event->body), (LeaseGranted{1, "a", "n", 2, 3, Role::worker}));
}

TEST(Event, RefusesWhatItDidNotWrite) {
  for (
      const char* text :
      {"", "{}", "[]", "nonsense", R"({"at":1,"by":"","why":"","type":"other","fields":{}})",
       R"({"at":1,"by":"","why":"","type":"job_state_changed","fields":{"job":"a","reason":"","state":"DONE"}})",
       R"({"at":1,"by":"","why":"","type":"lease_ended","fields":{}})"}) {
    EXPECT_EQ(event_from(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace ds::scheduler
