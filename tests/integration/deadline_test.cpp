// Jobs with deadlines: refused with the earliest that can be promised, and what is promised is kept, whoever
// comes then, over a killed head.
#include <fstream>

#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

class Deadlines : public TwoNodes {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& workers, const std::string& run,
                              const std::string& more) {
    const auto folder = cluster_.path() / "work";
    std::filesystem::create_directories(folder);
    const auto file = folder / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: " << name
                        << "\nresources: {memory: 64Mi}\nworkers: " << workers << "\nrun: " << run << "\n"
                        << more;
    return file;
  }
  Outcome try_to_submit(const std::string& deadline, int code) {
    const auto outcome = cluster_.submit(
        {"submit", "-f",
         write("due", "4", "sleep 1", "time_limit: 60s\ndeadline: " + deadline + "\n").string()});
    EXPECT_EQ(outcome.code, code) << outcome.out << outcome.err;
    return outcome;
  }
};

TEST_F(Deadlines, AreAcceptedOnlyIfTheyCanBeKeptAndThenAre) {
  const auto unlimited =
      cluster_.submit({"submit", "-f", write("unlimited", "1", "true", "deadline: 1h\n").string()});
  EXPECT_EQ(unlimited.code, 3);
  EXPECT_NE(unlimited.err.find("expected time_limit"), std::string::npos) << unlimited.err;

  const auto endless = cluster_.submit_job(write("endless", "1", "sleep 600", ""));
  ASSERT_TRUE(cluster_.wait_for_state(endless, "RUNNING")) << cluster_.logs();
  EXPECT_NE(try_to_submit("24h", 7).err.find("have no time_limit: " + endless), std::string::npos);
  EXPECT_EQ(cluster_.submit({"cancel", endless}).code, 0);

  const auto go = cluster_.path() / "go";
  const auto running = cluster_.submit_job(
      write("running", "3", "while [ ! -e " + go.string() + " ]; do sleep 0.1; done", "time_limit: 10m\n"));
  ASSERT_TRUE(cluster_.wait_for_state(running, "RUNNING")) << cluster_.logs();
  const auto refused = try_to_submit("5m", 7);
  const auto at = refused.err.find("deadline: 20");
  ASSERT_NE(at, std::string::npos) << refused.err;
  const auto accepted = try_to_submit(refused.err.substr(at + 10, 20), 0);
  const auto due = accepted.out.substr(0, accepted.out.find('\n'));
  EXPECT_TRUE(cluster_.status(due).at("deadline_promised").get<bool>()) << cluster_.status(due);
  const auto behind = try_to_submit("24h", 0);
  const auto second = behind.out.substr(0, behind.out.find('\n'));
  EXPECT_TRUE(cluster_.status(second).at("deadline_promised").get<bool>()) << cluster_.status(second);

  // They would fit, and are more urgent, but for the promise.
  const auto urgent = cluster_.submit_job(write("urgent", "1", "sleep 1", "priority: critical\n"));
  kill_head_and_start_another();
  EXPECT_TRUE(cluster_.status(due).at("deadline_promised").get<bool>()) << cluster_.status(due);
  EXPECT_TRUE(wait_until([&] { return codes_of(urgent).starts_with("priority_behind "); }))
      << cluster_.json({"why", urgent});
  std::ofstream(go) << "go";
  EXPECT_TRUE(cluster_.wait_for_state(due, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(urgent, "SUCCEEDED")) << cluster_.logs();
  EXPECT_LE(cluster_.status(due).at("started_ms"), cluster_.status(second).at("started_ms"));
  EXPECT_LE(cluster_.status(second).at("started_ms"), cluster_.status(urgent).at("started_ms"));
  for (const auto& job : {due, second})
    EXPECT_FALSE(cluster_.status(job).at("deadline_missed").get<bool>()) << cluster_.status(job);
  EXPECT_NE(cluster_.submit({"events", due}).out.find("is promised"), std::string::npos);
}

TEST_F(Deadlines, ArePlannedWithTheEarliest) {
  const auto file = write("due", "1", "sleep 600", "time_limit: 60s\ndeadline: 1h30m\n");
  Outcome told;
  EXPECT_TRUE(wait_until([&] {  // a head that has just started has nothing to plan with
    told = cluster_.submit({"plan", "-f", file.string()});
    return told.code == 0;
  })) << told.err;
  EXPECT_NE(told.out.find("would be promised: it starts by "), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("for certain; within a minute "), std::string::npos) << told.out;
  const auto plan = cluster_.json({"plan", "-f", file.string()});
  ASSERT_TRUE(plan.is_object()) << cluster_.logs();
  EXPECT_LT(plan.at("deadline").at("earliest_ms"), plan.at("deadline").at("deadline_ms")) << plan;
}

TEST_F(Deadlines, AreGivenUpByAPauseAndAskedForAgainByAResume) {
  const auto due = cluster_.submit_job(write("due", "1", "sleep 600", "time_limit: 60s\ndeadline: 1h30m\n"));
  ASSERT_TRUE(cluster_.wait_for_state(due, "RUNNING")) << cluster_.logs();
  EXPECT_TRUE(cluster_.status(due).at("promise_given_up").is_null());
  const auto pause = [&] {
    const auto paused = cluster_.submit({"pause", due});
    EXPECT_EQ(paused.code, 0) << paused.err;
    EXPECT_NE(paused.err.find("warning: " + due + ": it was paused, so its deadline "), std::string::npos)
        << paused.err;
    EXPECT_TRUE(cluster_.status(due).at("promise_given_up").is_string()) << cluster_.status(due);
  };
  pause();
  EXPECT_NE(cluster_.submit({"events", due}).out.find("is promised no more"), std::string::npos);
  const auto resumed = cluster_.submit({"resume", due});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(resumed.err, "");
  EXPECT_NE(resumed.out.find("is promised again: it starts by "), std::string::npos) << resumed.out;
  kill_head_and_start_another();
  EXPECT_TRUE(cluster_.status(due).at("deadline_promised").get<bool>()) << cluster_.status(due);
  EXPECT_TRUE(cluster_.status(due).at("promise_given_up").is_null());
  ASSERT_TRUE(cluster_.wait_for_state(due, "RUNNING")) << cluster_.logs();

  pause();
  const auto endless = cluster_.submit_job(write("endless", "4", "sleep 600", ""));
  ASSERT_TRUE(cluster_.wait_for_state(endless, "RUNNING")) << cluster_.logs();
  const auto refused = cluster_.submit({"resume", due});
  EXPECT_EQ(refused.code, 0) << refused.err;
  EXPECT_NE(refused.err.find("warning: " + due + ": it goes on, but no deadline can be promised now: "),
            std::string::npos)
      << refused.err;
  EXPECT_NE(refused.err.find("have no time_limit: " + endless), std::string::npos) << refused.err;
  EXPECT_FALSE(cluster_.status(due).at("deadline_promised").get<bool>()) << cluster_.status(due);
  EXPECT_NE(cluster_.submit({"status", due}).out.find("promised no more since it was paused"),
            std::string::npos);
  EXPECT_EQ(cluster_.submit({"cancel", due}).code, 0);
  EXPECT_EQ(cluster_.submit({"cancel", endless}).code, 0);
}

/// It ends, whatever its owner asks for, once its program is killed that does not leave by itself.
TEST_F(Deadlines, AreNotAskedForAgainWhereTheTimeLimitIsOver) {
  const auto due = cluster_.submit_job(
      write("due", "1", "trap '' TERM; while true; do sleep 1; done", "time_limit: 5s\ndeadline: 1h\n"));
  ASSERT_TRUE(wait_until([&] {
    return cluster_.submit({"events", due}).out.find("time limit") != std::string::npos;
  })) << cluster_.logs();
  const auto paused = cluster_.submit({"pause", due});
  EXPECT_EQ(paused.code, 0) << paused.err;
  const auto resumed = cluster_.submit({"resume", due});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(resumed.err, "") << "nothing was asked for";
  EXPECT_TRUE(cluster_.wait_for_state(due, "FAILED")) << cluster_.status(due) << cluster_.logs();
}

TEST_F(Deadlines, ThatCanNoLongerBeKeptAreNotCalledMissedBeforeTheyHavePassed) {
  const auto due =
      cluster_.submit_job(write("due", "1", "exit 1", "time_limit: 60s\ndeadline: 24h\nrestart: 20\n"));
  EXPECT_TRUE(wait_until([&] {
    const auto now = cluster_.status(due);
    return now.is_object() && now.at("promise_broken") == "it has crashed 2 times";
  })) << cluster_.status(due)
      << cluster_.logs();
  const auto now = cluster_.status(due);
  EXPECT_EQ(now.at("deadline_promised"), false);
  EXPECT_EQ(now.at("deadline_missed"), false);
  const auto text = cluster_.submit({"status", due}).out;
  EXPECT_NE(text.find("can no longer be kept for certain: it has crashed 2 times"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("missed"), std::string::npos) << text;
  const auto events = cluster_.submit({"events", due}).out;
  EXPECT_NE(events.find("its deadline can no longer be kept for certain: it has crashed 2 times"),
            std::string::npos)
      << events;
  EXPECT_EQ(cluster_.submit({"cancel", due}).code, 0);
}

/// It crashes, and then no node is open to it until its deadline has passed: only the runs before that use
/// its time limit, however slow the machine is.
TEST_F(Deadlines, ThatAreMissedAreSaidToBeSoOnceWithByHowMuch) {
  const auto due =
      cluster_.submit_job(write("due", "1", "exit 1", "time_limit: 5s\ndeadline: 37s\nrestart: 20\n"));
  for (const char* node : {"node-1", "node-2"}) EXPECT_EQ(cluster_.submit({"cordon", node}).code, 0);
  ASSERT_TRUE(wait_until([&] {
    const auto now = cluster_.status(due);
    return now.is_object() && now.at("deadline_missed") == true;
  })) << cluster_.status(due)
      << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"events", due}).out.find("missed its deadline by"), std::string::npos);
  EXPECT_EQ(cluster_.submit({"cancel", due}).code, 0);
  kill_head_and_start_another();
  const auto events = cluster_.submit({"events", due}).out;
  const auto said = events.find("missed its deadline by ");
  ASSERT_NE(said, std::string::npos) << events;
  EXPECT_EQ(events.find("missed its deadline by ", said + 1), std::string::npos) << events;
}

TEST_F(Deadlines, AmongTenantsHaveTheirQueuesSlotsBackAndNoMoreThanThose) {
  const auto tenants = cluster_.path() / "tenants.yaml";
  std::ofstream(tenants) << "version: 1\ntenants: {nlp: {guaranteed: 2}, vision: {guaranteed: 2}}\n";
  ASSERT_EQ(cluster_.submit({"tenants", "--apply", tenants.string()}).code, 0);
  const auto borrower =
      cluster_.submit_job(write("borrower", "{min: 1, max: 4}", "sleep 600", "tenant: vision\n"));
  ASSERT_TRUE(wait_until([&] {
    const auto now = cluster_.status(borrower);
    return now.is_object() && now.at("state") == "RUNNING" && now.at("workers").size() == 4;
  })) << cluster_.logs();

  const std::string due = "tenant: nlp\ntime_limit: 60s\ndeadline: 10m\n";
  const auto refused = cluster_.submit({"submit", "-f", write("more", "3", "sleep 1", due).string()});
  EXPECT_EQ(refused.code, 7) << refused.out << refused.err;
  EXPECT_NE(refused.err.find("more than what its queue nlp is guaranteed, 2 slots"), std::string::npos)
      << refused.err;
  const auto planned = cluster_.json({"plan", "-f", write("planned", "2", "sleep 1", due).string()});
  ASSERT_TRUE(planned.is_object()) << planned;
  EXPECT_TRUE(planned.at("expected_start").at("to").is_string()) << planned;

  const auto job = cluster_.submit_job(write("due", "2", "sleep 1", due));
  EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
  EXPECT_FALSE(cluster_.status(job).at("deadline_missed").get<bool>());
  EXPECT_EQ(cluster_.status(borrower).at("state"), "RUNNING");
  EXPECT_EQ(cluster_.submit({"cancel", borrower}).code, 0);
}

}  // namespace
}  // namespace ds::tests
