#include "clients/doctor.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

using nlohmann::json;
using Result = Check::Result;

MachineFacts sound_machine() {
  return {"/opt/ds/bin", {}, 65'536, "", 1U << 30};
}

HeadFacts sound_head() {
  HeadFacts facts;
  facts.cluster = {{"version", "1.0"},
                   {"time_ms", 100'100},
                   {"disk", {{"bytes", 100LL << 30}, {"free_bytes", 50LL << 30}, {"is_full", false}}}};
  facts.nodes = {{{"id", "n1"}, {"state", "UP"}, {"slots", 4}}};
  facts.tenants = {{{"guaranteed_together", 4}, {"cluster_slots", 4}}};
  facts.metrics = {{{"ds_pending_jobs", {{"reason", "never_fits"}}, 0, "", ""}}};
  facts.asked_ms = 100'000;
  facts.answered_ms = 100'200;
  return facts;
}

const Check& find(const std::vector<Check>& checks, const std::string& what) {
  for (const auto& check : checks) {
    if (check.what == what) return check;
  }
  static const Check kNone{"none", Result::fail, "not looked at", ""};
  return kNone;
}

TEST(Doctor, FindsNothingWhereAllIsWell) {
  auto checks = check_machine(sound_machine());
  for (auto& check : check_head(sound_head(), "1.0")) checks.push_back(check);
  EXPECT_EQ(checks.size(), 9U);
  for (const auto& check : checks) EXPECT_EQ(check.result, Result::ok) << check.what << ": " << check.text;
  EXPECT_EQ(to_json(checks).at("ok"), true);
}

TEST(Doctor, LooksAtThisMachine) {
  auto facts = sound_machine();
  facts.missing = {"ds-node"};
  facts.most_descriptors = 1024;
  facts.ucx_tls = "rc,self";
  auto checks = check_machine(facts);
  for (const char* what : {"programs", "descriptors", "transport"})
    EXPECT_EQ(find(checks, what).result, Result::warn) << what;
  facts.ucx_tls = "tcp,shm";
  EXPECT_EQ(find(check_machine(facts), "transport").result, Result::ok);
  facts.shm_free = 1 << 20;
  EXPECT_EQ(find(check_machine(facts), "transport").result, Result::warn);
  facts.ucx_tls = "tcp,self";
  EXPECT_EQ(find(check_machine(facts), "transport").result, Result::ok) << "it takes no shared memory";
  facts.most_descriptors = 0;
  EXPECT_EQ(find(check_machine(facts), "descriptors").result, Result::ok) << "no limit";
}

TEST(Doctor, KnowsListsOfTransportsThatAreNotTaken) {
  const auto look = [](const std::string& list, std::uint64_t shm_free) {
    auto facts = sound_machine();
    facts.ucx_tls = list;
    facts.shm_free = shm_free;
    return find(check_machine(facts), "transport");
  };
  EXPECT_EQ(look("^sm", 0).result, Result::ok) << "it takes all but shared memory";
  EXPECT_EQ(look("^rc,ud", 1U << 30).result, Result::ok);
  EXPECT_EQ(look("^rc", 1 << 20).result, Result::warn) << "it takes shared memory, of which there is little";
  EXPECT_EQ(look("^sm,tcp", 1U << 30).text, "UCX_TLS=^sm,tcp is set: without tcp");
}

TEST(Doctor, ComparesVersionsAndClocks) {
  auto facts = sound_head();
  EXPECT_EQ(find(check_head(facts, "2.0"), "version").result, Result::warn);
  facts.cluster["time_ms"] = 105'000;
  EXPECT_EQ(find(check_head(facts, "1.0"), "clock").text, "the head's clock is 4s ahead of this one");
  facts.cluster["time_ms"] = 10'000;
  EXPECT_EQ(find(check_head(facts, "1.0"), "clock").text, "the head's clock is 1m30s behind this one");
  facts.answered_ms = 900'000;  // a slow answer is no difference
  facts.cluster["time_ms"] = 500'000;
  EXPECT_EQ(find(check_head(facts, "1.0"), "clock").result, Result::ok);
}

TEST(Doctor, FailsWhereNothingCanStart) {
  auto facts = sound_head();
  facts.cluster["disk"]["is_full"] = true;
  EXPECT_EQ(find(check_head(facts, "1.0"), "disk").result, Result::fail);
  facts = sound_head();
  facts.cluster["disk"]["free_bytes"] = 1 << 20;
  EXPECT_EQ(find(check_head(facts, "1.0"), "disk").result, Result::warn);
  EXPECT_FALSE(has_failed(check_head(facts, "1.0")));
  facts.nodes = json::array({{{"id", "n1"}, {"state", "CORDONED"}}, {{"id", "n2"}, {"state", "DOWN"}}});
  const auto checks = check_head(facts, "1.0");
  EXPECT_EQ(find(checks, "nodes").result, Result::fail);
  EXPECT_EQ(find(checks, "closed_nodes").text, "nothing new goes to n1 (CORDONED)");
  EXPECT_EQ(find(checks, "lost_nodes").text, "not heard of: n2");
  EXPECT_TRUE(has_failed(checks));
  EXPECT_EQ(to_json(checks).at("ok"), false);
}

TEST(Doctor, NamesJobsThatCanNeverStartAndGuaranteesThatCannotBeKept) {
  auto facts = sound_head();
  facts.tenants[0]["guaranteed_together"] = 9;
  facts.metrics->at(0).value = 2;
  facts.never_fit = {"large-1"};
  const auto checks = check_head(facts, "1.0");
  EXPECT_EQ(find(checks, "guarantees").text,
            "tenants are guaranteed 9 of 4 slots together: not all can have theirs");
  EXPECT_EQ(find(checks, "never_fits").text,
            "2 jobs can never start with the nodes and quotas there are: large-1");
  EXPECT_EQ(format_checks({find(checks, "never_fits")}, false).substr(0, 10), "warn  2 jo");
}

TEST(Doctor, LooksAtGuaranteesOfGpusToo) {
  auto facts = sound_head();
  facts.tenants[0].update({{"guaranteed_gpus_together", 3}, {"cluster_gpus", 2}});
  auto check = find(check_head(facts, "1.0"), "guarantees");
  EXPECT_EQ(check.result, Result::warn);
  EXPECT_EQ(check.text, "tenants are guaranteed 4 of 4 slots, 3 of 2 GPUs together: not all can have theirs");
  facts.tenants[0]["cluster_gpus"] = 3;
  EXPECT_EQ(find(check_head(facts, "1.0"), "guarantees").result, Result::ok);
}

TEST(Doctor, SaysHowClosedNodesThatAreGoneAreForgotten) {
  auto facts = sound_head();
  facts.nodes.push_back({{"id", "n2"}, {"state", "DOWN"}, {"reason", "it ended, or is not heard of"}});
  EXPECT_EQ(find(check_head(facts, "1.0"), "lost_nodes").hint,
            "start ds-node there again, or leave them: after ten minutes they are forgotten");
  facts.nodes.push_back({{"id", "n3"}, {"state", "DOWN"}, {"reason", "drained: its disk is changed"}});
  const auto lost = find(check_head(facts, "1.0"), "lost_nodes");
  EXPECT_EQ(lost.text, "not heard of: n2, n3 (drained)");
  EXPECT_NE(lost.hint.find("ds-submit undrain NODE"), std::string::npos);
}

TEST(Doctor, CountsNoNodeThatIsAboutToEndAsOpen) {
  auto facts = sound_head();
  facts.nodes[0]["reason"] = "about to end: it takes nothing new";
  const auto checks = check_head(facts, "1.0");
  EXPECT_EQ(find(checks, "nodes").result, Result::fail);
  EXPECT_EQ(find(checks, "closed_nodes").text, "nothing new goes to n1 (about to end)");
}

TEST(Doctor, TellsWhatItKnowsWhereAQuestionGotNoAnswer) {
  auto facts = sound_head();
  facts.metrics.reset();
  facts.nodes = nullptr;
  facts.unanswered = {{"/api/v1/nodes", "it says nothing", "wait"}, {"/metrics", "it is broken", ""}};
  const auto checks = check_head(facts, "1.0");
  EXPECT_EQ(find(checks, "clock").result, Result::ok);
  EXPECT_EQ(find(checks, "disk").result, Result::ok);
  for (const char* what : {"nodes", "never_fits"}) EXPECT_EQ(find(checks, what).what, "none") << what;
  const auto& first = find(checks, "answers");
  EXPECT_EQ(first.text, "no answer to /api/v1/nodes: it says nothing");
  EXPECT_EQ(first.hint, "wait");
  EXPECT_EQ(checks.back().text, "no answer to /metrics: it is broken");
  EXPECT_NE(checks.back().hint, "");
  EXPECT_TRUE(has_failed(checks)) << "what is not known may be wrong";
}

}  // namespace
}  // namespace ds::clients
