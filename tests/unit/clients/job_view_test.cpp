#include "clients/job_view.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <utility>

#include "clients/guarantees.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

TEST(JobView, ListsJobs) {
  const json jobs = json::parse(R"([
    {"id":"j-1","name":"intents","tenant":"nlp","state":"RUNNING","step":5,"total_steps":1000,
     "metrics":{"accuracy":0.5},"submitted_ms":1000,"reason":""},
    {"id":"j-2","name":"big","tenant":"default","state":"QUEUED","step":0,"total_steps":0,"metrics":null,
     "submitted_ms":60000,"reason":"needs 8 slots"}])");
  EXPECT_EQ(format_jobs(jobs, 61000, false),
            "ID   NAME     TENANT   STATE       STEP  ACCURACY  SUBMITTED  REASON\n"
            "j-1  intents  nlp      RUNNING  5/1,000     50.0%  1m00s ago\n"
            "j-2  big      default  QUEUED         -         -     1s ago  needs 8 slots\n");
  EXPECT_NE(format_jobs(json::array(), 0, false).find("ds-submit run"), std::string::npos);
}

TEST(JobView, SaysWhereTenantsAreGuaranteedMoreThanTheClusterHas) {
  const auto line_of = [](double slots) {
    return format_guarantees({{{"name", "nlp"}, {"guaranteed_together", 24}, {"cluster_slots", slots}}});
  };
  EXPECT_EQ(line_of(24), "");
  EXPECT_EQ(line_of(16),
            "tenants are guaranteed 24 slots together, and the nodes that are up have 16: not all can have "
            "theirs until nodes come, or less is guaranteed\n");
  EXPECT_EQ(format_guarantees({{{"name", "nlp"},
                                {"guaranteed_together", 24},
                                {"cluster_slots", 24},
                                {"guaranteed_gpus_together", 9},
                                {"cluster_gpus", 8}}}),
            "tenants are guaranteed 9 GPUs together, and the nodes that are up have 8: not all can have "
            "theirs until nodes come, or less is guaranteed\n");
  EXPECT_EQ(format_guarantees(json::array()), "");
  EXPECT_EQ(format_guarantees({{{"name", "nlp"}}}), "") << "of an older head";
}

TEST(JobView, ShowsTheGpusOfTenantsWhereTheyMatter) {
  json tenants = json::parse(R"([{"name":"nlp","guaranteed":8,"used":3,"borrowed":0,"borrowing_limit":null,
    "lending_limit":null,"weight":1,"share":0.5,"recent_share":0.25,"running":1,"waiting":0,"guaranteed_gpus":2,
    "gpus_used":3,"borrowed_gpus":1,"gpu_limit":null}])");
  const auto table = [&] { return format_tenants(tenants, false); };
  EXPECT_NE(table().find("WAITING  GUARANTEED GPUS  USED GPUS  BORROWED GPUS  MOST GPUS"), std::string::npos)
      << table();
  tenants[0]["guaranteed_gpus"] = 0;
  EXPECT_NE(table().find("WAITING  GPUS  MOST GPUS"), std::string::npos) << table();
  tenants[0]["gpus_used"] = 0;
  EXPECT_EQ(table().find("GPUS"), std::string::npos) << table();
}

TEST(JobView, ShowsOneJobWithItsWorkersAndEvaluations) {
  const json job =
      json::parse(R"({"id":"j-1","name":"intents","kind":"train","tenant":"nlp","state":"RUNNING","reason":"",
    "step":50,"total_steps":100,"epoch":1,"steps_per_epoch":50,"generation":2,"restarts":1,"workers_min":1,"workers_max":4,
    "workers":[{"rank":0,"node":"node-1","pid":77,"state":"TRAINING"},{"rank":null,"node":"node-2","pid":null,"state":"STARTING"}],"roles":[{"role":"job_master","node":"head","pid":12}],
    "evaluations":[{"epoch":1,"step":50,"loss":0.25,"accuracy":0.9,"majority_accuracy":0.2}],
    "checkpoint":{"step":40},"submitted_ms":1000,"started_ms":2000,"ended_ms":0,"metrics":{}})");
  EXPECT_EQ(format_job(job, 61000, false),
            "job         intents  j-1\n"
            "state       RUNNING\n"
            "kind        train\n"
            "tenant      nlp\n"
            "progress    RUNNING  50%  step 50/100  epoch 2/2  2 workers\n"
            "workers     2 now, 1 to 4 wanted\n"
            "generation  2\n"
            "restarts    1\n"
            "checkpoint  step 40\n"
            "submitted   1m00s ago\n"
            "started     59s ago\n"
            "\n"
            "RANK  NODE    PID  STATE\n"
            "0     node-1   77  TRAINING\n"
            "-     node-2    -  STARTING\n"
            "\n"
            "ROLE        NODE  PID  STATE\n"
            "job_master  head   12\n"
            "\n"
            "EPOCH  STEP   LOSS  ACCURACY  BASELINE\n"
            "    1    50  0.250     90.0%     20.0%\n");
}

TEST(JobView, ShowsLabelsAndDescription) {
  const json job =
      json::parse(R"({"name":"intents","id":"j-1","tenant":"nlp","description":"two\nlines \u001b[31m",
                                   "labels":{"team":"search","stage":"prod"},"priority":500})");
  const auto text = format_job(job, 0, false);
  EXPECT_NE(text.find("\nlabels      stage=prod, team=search\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\ndescription two"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  EXPECT_EQ(format_job(json::parse(R"({"id":"j-1","labels":{},"description":""})"), 0, false).find("labels"),
            std::string::npos);
}

TEST(JobView, ShowsHowNoisyTheGradientIs) {
  for (const auto& [scale, text] : {std::pair{"1240.4", "1,240"}, {"9.87", "9.9"}, {"1e300", "1e+300"}}) {
    const json job = json::parse(fmt::format(R"({{"metrics":{{"gradient_noise_scale":{}}}}})", scale));
    const auto line = fmt::format("\nnoise scale {} samples\n", text);
    EXPECT_NE(format_job(job, 0, false).find(line), std::string::npos) << format_job(job, 0, false);
  }
}

TEST(JobView, ShowsTheBatchOfAJobThatMayChangeItAndAtWhichOneItsSpeedsWereMeasured) {
  const json job = json::parse(R"({"batch":{"now":2048,"min":64,"max":4096},
                                   "speeds":[{"workers":1,"nodes":1,"step_seconds":0.1,"batch":64},
                                             {"workers":2,"nodes":1,"step_seconds":0.5,"batch":2048}]})");
  const std::string text = format_job(job, 0, false);
  EXPECT_NE(text.find("2,048 samples a step, of 64 to 4,096\n"), std::string::npos) << text;
  EXPECT_NE(text.find("1: 100 ms for 64 samples, 2: 500 ms for 2,048 samples a step\n"), std::string::npos)
      << text;
}

TEST(JobView, ListsNodesAndCheckpoints) {
  EXPECT_EQ(
      format_nodes(
          json::parse(R"([{"id":"node-1","address":"127.0.0.1:4000","state":"UP","slots":2,"slots_used":1,
                                          "cores":8,"gpus":["H200","H200"],"gpus_total":2,"gpus_used":1,
                                          "gpu_kind":"H200","memory_bytes":4294967296,"pid":9}])"),
          false),
      "NODE    ADDRESS         STATE  SLOTS  CORES      GPUS   MEMORY  PID\n"
      "node-1  127.0.0.1:4000  UP       1/2      8  1/2 H200  4.0 GiB    9\n"
      "free GPUs: 1 of 2 H200\n");
  EXPECT_EQ(
      format_nodes(json::parse(R"([{"id":"node-1","address":"h:1","state":"UP","slots":2,"slots_used":1.501,
                                          "cores":8,"gpus":[],"memory_bytes":0,"pid":9}])"),
                   false),
      "NODE    ADDRESS  STATE    SLOTS  CORES  GPUS  MEMORY  PID\n"
      "node-1  h:1      UP     1.501/2      8     0     0 B    9\n");
  EXPECT_EQ(
      format_nodes(json::parse(R"([{"id":"node-1","address":"","state":"DRAINED","reason":"drained","slots":2,
                                          "slots_used":0,"cores":8,"gpus":[],"memory_bytes":0,"pid":9}])"),
                   false),
      "NODE    ADDRESS  STATE    SLOTS  CORES  GPUS  MEMORY  PID  REASON\n"
      "node-1           DRAINED    0/2      8     0     0 B    9  drained\n");
  EXPECT_EQ(
      format_nodes(
          json::parse(R"([{"id":"node-1","address":"h:1","state":"UP","reason":"","slots":2,"slots_used":0,
                                    "cores":8,"gpus":[],"memory_bytes":0,"pid":9,"pretends":true}])"),
          false),
      "NODE               ADDRESS  STATE  SLOTS  CORES  GPUS  MEMORY  PID\n"
      "node-1 (pretends)  h:1      UP       0/2      8     0     0 B    9\n");
  EXPECT_EQ(format_checkpoints(json::parse(R"([{"step":200,"bytes":1048576,"time":"2026-01-01T00:00:00Z",
                                                "metrics":{"loss":0.5,"accuracy":0.75},"best":true}])"),
                               false),
            "STEP     SIZE  TIME                   LOSS  ACCURACY\n"
            " 200  1.0 MiB  2026-01-01T00:00:00Z  0.500     75.0%  best\n");
}

TEST(JobView, SaysWhatIsInTheWay) {
  EXPECT_EQ(
      format_why(
          json::parse(
              R"({"state":"QUEUED","reasons":[{"code":"no_capacity_now","text":"needs 4 slots, 1 is free",
                                       "blocking":["j-1","j-2"]}],"expected_start":null})"),
          false),
      "QUEUED\n  no_capacity_now: needs 4 slots, 1 is free\n    in the way: j-1, j-2\n");
  EXPECT_EQ(format_why(json::parse(R"({"state":"QUEUED","reasons":[{"code":"no_capacity_now","text":"0 fit",
                                       "blocking":["j-1","j-2"],"blocking_count":57}]})"),
                       false),
            "QUEUED\n  no_capacity_now: 0 fit\n    in the way: j-1, j-2 (2 of 57)\n");
  EXPECT_EQ(format_why(json::parse(R"({"state":"RUNNING","reasons":[]})"), false),
            "RUNNING\nnothing keeps this job from running\n");
  const std::string waits =
      R"({"state":"QUEUED","reasons":[{"code":"no_capacity_now","text":"0 fit","blocking":[]}],)";
  EXPECT_EQ(
      format_why(
          json::parse(waits +
                      R"("expected_start":{"from":"2026-01-01T00:00:00Z","to":"2026-01-01T01:00:00Z"}})"),
          false),
      "QUEUED\n  no_capacity_now: 0 fit\nstarts between 2026-01-01T00:00:00Z and 2026-01-01T01:00:00Z\n");
  EXPECT_EQ(format_why(json::parse(waits + R"("expected_start":{"from":"2026-01-01T00:00:00Z","to":null}})"),
                       false),
            "QUEUED\n  no_capacity_now: 0 fit\nstarts at 2026-01-01T00:00:00Z at the earliest; nobody knows "
            "by when\n");
}

TEST(JobView, SaysHowAJobHasEndedAndWhetherItMayBeTriedAgain) {
  EXPECT_EQ(format_why(json::parse(
                           R"({"job":"j-1","state":"SUCCEEDED","reasons":[],"ended_because":"exit code 0"})"),
                       false),
            "SUCCEEDED\nit has ended: exit code 0\n");
  EXPECT_EQ(
      format_why(json::parse(R"({"job":"j-1","state":"FAILED","reasons":[],"ended_because":"crash 3"})"),
                 false),
      "FAILED\nit has ended: crash 3\nds-submit retry j-1 tries it again, from its newest checkpoint if it "
      "has "
      "one\n");
  EXPECT_EQ(format_why(json::parse(R"({"state":"CANCELLED","reasons":[]})"), false),
            "CANCELLED\nit has ended\nds-submit retry JOB tries it again, from its newest checkpoint if it "
            "has one\n")
      << "of an older head";
}

TEST(JobView, SaysOfAPromiseWhetherItCanBeKept) {
  json job = json::parse(R"({"deadline_ms":1767229200000,"starts_by_ms":1767225600000,
    "latest_start_ms":1767227400000,"deadline_promised":true,"promise_at_risk":false,"started_ms":null})");
  const auto line = [&](std::int64_t now_ms) {
    const auto text = format_job(job, now_ms, false);
    const auto at = text.find("deadline ");
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_EQ(line(1767225000000),
            "deadline    2026-01-01T01:00:00Z, promised; it starts by 2026-01-01T00:00:00Z");
  job["promise_at_risk"] = true;
  EXPECT_EQ(line(1767225000000),
            "deadline    2026-01-01T01:00:00Z, promised, and at risk: it can't start now, and was to by "
            "2026-01-01T00:00:00Z; the promise is broken if it has not started by 2026-01-01T00:30:00Z");
  EXPECT_EQ(
      line(1767225700000),
      "deadline    2026-01-01T01:00:00Z, promised, and at risk: it was to start by 2026-01-01T00:00:00Z; the "
      "promise is broken if it has not started by 2026-01-01T00:30:00Z");
  auto of_older_head = job;
  of_older_head.erase("latest_start_ms");
  std::swap(job, of_older_head);
  EXPECT_EQ(
      line(1767225700000),
      "deadline    2026-01-01T01:00:00Z, promised, and at risk: it was to start by 2026-01-01T00:00:00Z");
  std::swap(job, of_older_head);
  job["promise_at_risk"] = false;
  job["started_ms"] = 1767220000000;
  EXPECT_EQ(line(1767225000000), "deadline    2026-01-01T01:00:00Z, promised");
  job["promised_again"] = true;
  EXPECT_EQ(line(1767225000000),
            "deadline    2026-01-01T01:00:00Z, promised; it starts by 2026-01-01T00:00:00Z");
}

TEST(JobView, SaysOfAPromiseThatIsGoneWhatBecameOfItAndMissedOnlyAfterTheDeadline) {
  json job = json::parse(R"({"deadline_ms":1767229200000,"deadline_promised":false,"deadline_missed":false,
    "promise_broken":"it has crashed 2 times","ended_ms":null,"state":"RUNNING"})");
  const auto line = [&] {
    const auto text = format_job(job, 1767225000000, false);
    const auto at = text.find("deadline ");
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_EQ(line(),
            "deadline    2026-01-01T01:00:00Z, can no longer be kept for certain: it has crashed 2 times");
  job["ended_ms"] = 1767226000000;
  job["state"] = "SUCCEEDED";
  EXPECT_EQ(line(), "deadline    2026-01-01T01:00:00Z, kept all the same");
  job["deadline_missed"] = true;
  EXPECT_EQ(line(), "deadline    2026-01-01T01:00:00Z, missed");
  job["deadline_missed"] = false;
  job["promise_broken"] = nullptr;
  job["promise_given_up"] = "it was paused, so …";
  EXPECT_EQ(line(), "deadline    2026-01-01T01:00:00Z, promised no more since it was paused");
}

TEST(JobView, SaysOfAPlanWhetherItsDeadlineWouldBePromisedAndTheEarliest) {
  json plan = json::parse(R"({"outcome":"starts","placement":[],"reasons":[],"shrinks":[],"moves":[],
    "preemptions":[],"deadline":{"deadline_ms":1767229200000,"starts_by_ms":1767225600000,
    "earliest_ms":1767227400000}})");
  EXPECT_NE(
      format_plan(plan, false)
          .find("its deadline 2026-01-01T01:00:00Z would be promised: it starts by 2026-01-01T00:00:00Z for "
                "certain; within a minute 2026-01-01T00:30:00Z could be promised too\n"),
      std::string::npos)
      << format_plan(plan, false);
  plan["deadline"]["earliest_ms"] = 1767229200000;
  EXPECT_NE(format_plan(plan, false).find("for certain\n"), std::string::npos);
  plan["deadline"] = nullptr;
  EXPECT_EQ(format_plan(plan, false).find("deadline"), std::string::npos);
}

TEST(JobView, SaysWhichJobsRunOfTenantsThatAreNamedNoMore) {
  const json tenants =
      json::parse(R"([{"name":"a","running":1},{"name":"b","removed":true,"running":2,"used":2,
    "jobs":["j-1","j-2"]},{"name":"c","removed":true,"running":0,"waiting":1,"jobs":[]}])");
  EXPECT_EQ(format_removed(tenants),
            "warning: b is named no more, and 2 of its jobs run: j-1, j-2; they keep what they have but "
            "can't grow or "
            "start again\n");
  EXPECT_EQ(format_removed(json::array()), "");
  EXPECT_NE(format_tenants(tenants, false).find("b (removed)"), std::string::npos);
}

TEST(JobView, SurvivesAnswersOfAnotherShape) {
  const json odd = json::parse(R"([null, 5, {"id":7,"metrics":[],"state":{}}])");
  EXPECT_FALSE(format_jobs(odd, 0, false).empty());
  EXPECT_FALSE(format_nodes(odd, false).empty());
  EXPECT_FALSE(format_checkpoints(odd, false).empty());
  EXPECT_FALSE(format_why(odd, false).empty());
  EXPECT_FALSE(format_job(odd, 0, false).empty());
}

TEST(JobView, SaysWhatWouldBecomeOfAJob) {
  EXPECT_EQ(format_plan(json::parse(R"({"outcome":"starts","placement":[{"node":"node-1","workers":1},
    {"node":"node-2","workers":3}],"reasons":[],"expected_start":{"from":"2026-01-01T00:00:00Z",
    "to":"2026-01-01T00:00:00Z"},"shrinks":[],"preemptions":[]})"),
                        false),
            "would start now\n"
            "  1 worker on node-1\n"
            "  3 workers on node-2\n"
            "nothing was submitted; -o yaml shows the job with all its defaults\n");
  EXPECT_EQ(format_plan(json::parse(R"({"outcome":"waits","placement":[],"reasons":[{"code":"no_capacity_now",
    "text":"0 fit now","blocking":["a","b"]}],"expected_start":{"from":"2026-01-01T00:00:00Z","to":null},
    "shrinks":[{"job":"a","from":3,"to":1}],"moves":[{"job":"c","from":"n1","to":"n2"}],"preemptions":["b"]})"),
                        false),
            "would wait\n"
            "  no_capacity_now: 0 fit now\n"
            "    in the way: a, b\n"
            "starts at 2026-01-01T00:00:00Z at the earliest; nobody knows by when\n"
            "  a would shrink from 3 to 1 workers\n"
            "  a worker of c would move from n1 to n2\n"
            "  b would be preempted\n"
            "nothing was submitted; -o yaml shows the job with all its defaults\n");
  json room = json::parse(R"({"outcome":"waits","starts_when_room_is_made":true,"workers_to_leave":6,
    "expected_start":{"from":"2026-01-01T00:00:00Z","to":null},"preemptions":["b"]})");
  EXPECT_EQ(format_plan(room, false),
            "would start as soon as 6 workers have left\n"
            "  b would be preempted\n"
            "nothing was submitted; -o yaml shows the job with all its defaults\n");
  room["workers_to_leave"] = 1;
  EXPECT_TRUE(format_plan(room, false).starts_with("would start as soon as 1 worker has left\n"));
  room["workers_to_leave"] = 0;
  EXPECT_TRUE(format_plan(room, false).starts_with("would start as soon as the workers that are stopping"));
  EXPECT_TRUE(format_plan(json::object(), false).starts_with("could never start\n"));
}

}  // namespace
}  // namespace ds::clients
