// What people ask ds-submit before and after they have run jobs: fields said beside the file, what was used,
// what a field means, what is wrong. Real head and nodes; the nodes only pretend.
#include <gtest/gtest.h>
#include <httplib.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

using nlohmann::json;

class Questions : public ::testing::Test {
 protected:
  void start(const std::vector<std::string>& more = {}) {
    cluster_.start_head(more);
    cluster_.start_pretend_nodes("n", 2, {"--slots", "2", "--pretend-speed", "1"});
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }
  std::string write(const std::string& rest, const char* seconds = "100000") {
    const auto file = cluster_.path() / ("job-" + std::to_string(++files_) + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: job\nresources: {memory: 1Mi}\n"
                        << "env: {DS_PRETEND_SECONDS: \"" << seconds << "\"}\nrun: [\"true\"]\n"
                        << rest;
    return file.string();
  }

  int files_ = 0;
  Cluster cluster_;
};

TEST_F(Questions, SetFieldsBesideTheFileAndRunWhatWasSet) {
  start();
  const auto file = write("workers: 1\nlabels: {team: maps}\n");
  const auto planned =
      cluster_.json({"plan", "-f", file, "--set", "workers=3", "--set", "labels.team=search"});
  ASSERT_TRUE(planned.is_object()) << cluster_.logs();
  EXPECT_EQ(planned.at("spec").at("workers").at("max"), 3);
  EXPECT_EQ(planned.at("spec").at("labels").at("team"), "search");

  const auto submitted = cluster_.json({"submit", "-f", file, "--set", "workers=3", "--set", "name=wide"});
  ASSERT_TRUE(submitted.is_object()) << cluster_.logs();
  const std::string id = submitted.at("id");
  ASSERT_TRUE(cluster_.wait_for_state(id, "RUNNING")) << cluster_.logs();
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  const auto status = cluster_.status(id);
  EXPECT_EQ(status.at("workers").size(), 3U) << "what is kept of the job has it";
  EXPECT_EQ(status.at("name"), "wide");

  const auto wrong = cluster_.submit(
      {"submit", "-f", write("restart: x\n"), "--set", "resources.cpus=fast", "--set", "wrokers=3"});
  EXPECT_EQ(wrong.code, 3);
  EXPECT_NE(wrong.err.find(".yaml:7:10: restart: expected a number, got \"x\"\n    7 | restart: x\n"),
            std::string::npos)
      << wrong.err;
  EXPECT_NE(wrong.err.find("--set resources.cpus=fast: expected a number from 0.01 to 1024"),
            std::string::npos)
      << wrong.err;
  EXPECT_NE(wrong.err.find("--set wrokers=3: unknown field\n  hint: did you mean \"workers\"?"),
            std::string::npos)
      << wrong.err;
}

TEST_F(Questions, SayWhatTenantsHaveUsedWhateverBecameOfTheirJobs) {
  start();
  EXPECT_EQ(cluster_.submit({"usage"}).out, "no job has had a worker yet\n");
  const auto used_by = [&](const std::string& tenant) {
    const auto usage = cluster_.json({"usage", "--tenant", tenant});
    return usage.is_object() ? usage.at("total").at("slot_hours").get<double>() : -1;
  };
  const auto first =
      cluster_.json({"submit", "-f", write("workers: 2\nretention: 1s\n", "1"), "--tenant", "nlp"});
  ASSERT_TRUE(first.is_object()) << cluster_.logs();
  const std::string short_id = first.at("id");
  const auto second = cluster_.json({"submit", "-f", write("workers: 2\n"), "--tenant", "vision"});
  const std::string long_id = second.at("id");
  ASSERT_TRUE(cluster_.wait_for_state(long_id, "RUNNING")) << cluster_.logs();
  // It ends, and is forgotten a second later.
  ASSERT_TRUE(wait_until([&] { return cluster_.submit({"status", short_id}).code == 4; })) << cluster_.logs();
  const double used = used_by("nlp");
  EXPECT_GT(used, 2 * 0.9 / 3600);
  EXPECT_LT(used, 2 * 600.0 / 3600);

  const auto jobs = cluster_.json({"usage", "--jobs"});
  ASSERT_EQ(jobs.size(), 1U) << jobs;
  EXPECT_EQ(jobs.at(0).at("id"), long_id);
  EXPECT_EQ(cluster_.json({"usage", "--jobs", "--tenant", "nlp"}), json::array());

  cluster_.head().kill_and_wait();
  cluster_.start_head();
  ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  EXPECT_EQ(used_by("nlp"), used) << "nothing of it runs any more";
  const auto before = used_by("vision");
  ASSERT_TRUE(wait_until([&] { return used_by("vision") > before; })) << "what runs counts on";
  const auto table = cluster_.submit({"usage", "--since", "1d"}).out;
  EXPECT_NE(table.find("when counting began"), std::string::npos) << table;
  EXPECT_NE(table.find("vision"), std::string::npos) << table;
  EXPECT_GE(cluster_.status(long_id).at("use").at("slot_hours"), before);
  const auto nobody = cluster_.submit({"usage", "--tenant", "nope"});
  EXPECT_EQ(nobody.code, 0) << nobody.err;
  EXPECT_TRUE(nobody.out.starts_with("tenant nope had no worker from ")) << nobody.out;
  const auto tenants = cluster_.path() / "tenants.yaml";
  std::ofstream(tenants) << "version: 1\ntenants: {vision: {guaranteed: 2}, late: {}}\n";
  ASSERT_EQ(cluster_.submit({"tenants", "--apply", tenants.string()}).code, 0);
  EXPECT_EQ(cluster_.submit({"usage", "--tenant", "nope"}).code, 4) << "it is known who there is";
  // Of one that no file names any more jobs may still wait.
  ASSERT_EQ(cluster_.submit({"submit", "-f", write("workers: 2\n"), "--tenant", "late"}).code, 0);
  std::ofstream(tenants) << "version: 1\ntenants: {vision: {guaranteed: 2}}\n";
  ASSERT_EQ(cluster_.submit({"tenants", "--apply", tenants.string()}).code, 0);
  EXPECT_EQ(cluster_.submit({"usage", "--tenant", "late"}).code, 0);
  EXPECT_EQ(used_by("nlp"), used) << "it was a tenant once";
}

TEST_F(Questions, CountJobsThatWaitByWhyTheyDoAlsoAfterAnotherHeadHasStarted) {
  start();
  const auto all = cluster_.submit_job(write("workers: 4\n"));
  ASSERT_TRUE(cluster_.wait_for_state(all, "RUNNING")) << cluster_.logs();
  const auto waits = cluster_.submit_job(write(""));
  const auto other = cluster_.submit_job(write(""));
  cluster_.submit_job(write("depends_on: [" + waits + "]\n"));
  cluster_.submit_job(write("start_after: 1h30m\n"));
  ASSERT_EQ(cluster_.submit({"cancel", cluster_.submit_job(write("start_after: 1h\n"))}).code, 0);
  const auto pending = [&] {
    std::map<std::string, double> counts;
    const auto metrics = cluster_.json({"metrics"});
    if (!metrics.is_object()) return counts;
    for (const auto& sample : metrics.at("samples"))
      if (sample.at("name") == "ds_pending_jobs")
        counts[sample.at("labels").at("reason")] = sample.at("value");
    return counts;
  };
  using Counts = std::map<std::string, double>;
  const Counts expected{{"no_capacity_now", 1}, {"priority_behind", 1}, {"dependency", 1}, {"begin_time", 1}};
  EXPECT_TRUE(wait_until([&] { return pending() == expected; })) << json(pending());
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  EXPECT_TRUE(wait_until([&] { return pending() == expected; })) << json(pending());
  ASSERT_EQ(cluster_.submit({"pause", other}).code, 0);
  EXPECT_TRUE(wait_until([&] { return !pending().contains("priority_behind"); })) << json(pending());
  ASSERT_EQ(cluster_.submit({"cancel", all}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(waits, "RUNNING")) << cluster_.logs();
  EXPECT_EQ(pending(), (Counts{{"dependency", 1}, {"begin_time", 1}}));
}

TEST_F(Questions, HearAgainThatAJobCanNeverStartWhenTheyAreSentAgain) {
  start();
  ASSERT_EQ(cluster_.submit({"plan", "-f", write("")}).code, 0)
      << "the head does not wait for nodes any more";
  httplib::Client client("http://" + cluster_.address());
  const auto submit = [&](const std::string& text, const std::string& key) {
    const json body{{"file", "job.yaml"}, {"directory", "/"}, {"text", text}, {"set", {"workers=7"}}};
    const auto answer =
        client.Post("/api/v1/jobs", {{"Idempotency-Key", key}}, body.dump(), "application/json");
    return answer ? json::parse(answer->body, nullptr, false) : json();
  };
  const std::string text = "kind: command\nname: large\nrun: ./x\n";
  const auto first = submit(text, "key-1"), again = submit("is not looked at", "key-1");
  ASSERT_TRUE(first.is_object() && first.contains("never_fits")) << first;
  EXPECT_EQ(again.at("id"), first.at("id"));
  EXPECT_EQ(again.value("never_fits", ""), first.at("never_fits")) << again;
  EXPECT_EQ(cluster_.submit({"pause", first.at("id")}).code, 0);
  EXPECT_FALSE(submit(text, "key-1").contains("never_fits")) << "it waits for its owner";
}

TEST_F(Questions, ExplainFieldsAsTheHeadReadsThem) {
  start();
  const auto lr = cluster_.json({"explain", "optimizer.lr"});
  ASSERT_TRUE(lr.is_object());
  EXPECT_EQ(lr.at("forms").at(0).at("default"), "1e-3");
  const auto file = write_job(cluster_.path() / "work", "train", 3, 1, 2);
  const auto planned = cluster_.json({"plan", "-f", file.string(), "--set", "optimizer=null"});
  ASSERT_TRUE(planned.is_object()) << cluster_.logs();
  EXPECT_EQ(planned.at("spec").at("optimizer").at("lr"), 1e-3);
  const auto schema = cluster_.json({"schema"});
  EXPECT_EQ(
      schema.at("$defs").at("train").at("properties").at("optimizer").at("properties").at("lr").at("default"),
      1e-3);
}

TEST_F(Questions, AreAnsweredByADoctorThatFindsWhatIsWrong) {
  const auto result_of = [](const json& document, const std::string& what) {
    for (const auto& check : document.at("checks")) {
      if (check.at("check") == what) return check.at("result").get<std::string>();
    }
    return std::string("none");
  };
  std::ofstream(cluster_.path() / "tenants.yaml") << "version: 1\ntenants:\n  large: {guaranteed: 9}\n";
  start({"--tenants", (cluster_.path() / "tenants.yaml").string()});
  ASSERT_TRUE(wait_until([&] {
    return cluster_.submit({"plan", "-f", write("tenant: large\n")}).code == 0;
  })) << cluster_.logs();
  const auto asked = [&] {
    const auto outcome = cluster_.submit({"doctor", "-o", "json"});
    const auto document = json::parse(outcome.out, nullptr, false);
    EXPECT_TRUE(document.is_object()) << outcome.out << outcome.err;
    EXPECT_EQ(outcome.code, document.value("ok", false) ? 0 : 1) << outcome.out;
    return document;
  };
  auto found = asked();
  for (const char* what : {"head", "version", "clock", "nodes", "never_fits", "programs"})
    EXPECT_EQ(result_of(found, what), "ok") << what << found;
  EXPECT_EQ(result_of(found, "guarantees"), "warn") << found;
  EXPECT_EQ(found.at("ok"), true);

  const auto never = cluster_.json({"submit", "-f", write("tenant: large\nworkers: 7\n")});
  ASSERT_TRUE(never.is_object()) << cluster_.logs();
  found = asked();
  EXPECT_EQ(result_of(found, "never_fits"), "warn") << found;
  EXPECT_NE(found.dump().find(never.at("id").get<std::string>()), std::string::npos) << found;

  for (const char* node : {"n-0", "n-1"}) EXPECT_EQ(cluster_.submit({"cordon", node}).code, 0);
  found = asked();
  EXPECT_EQ(result_of(found, "nodes"), "fail") << found;
  EXPECT_EQ(result_of(found, "closed_nodes"), "warn") << found;
  cluster_.head().kill_and_wait();
  const auto without = cluster_.submit({"doctor"});
  EXPECT_EQ(without.code, 1);
  EXPECT_NE(without.out.find("fail  no head answers at"), std::string::npos) << without.out;
}

}  // namespace
}  // namespace ds::tests
