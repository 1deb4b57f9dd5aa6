#include "actors/head/views.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "scheduler/ledger/ledger.hpp"

namespace ds::head {
namespace {

using nlohmann::json;
using namespace scheduler;

constexpr const char* kJobText = R"(
version: 1
kind: train
name: intents
description: finds out what is asked for
labels: {team: search, stage: ""}
tenant: nlp
workers: {min: 1, max: 4}
model: {zoo: text_classifier}
data:
  train: {source: train.csv, format: csv, columns: {text: utterance, label: intent}}
until: {epochs: 2}
)";

/// A field that scripts rely on, and what it may hold.
struct Field {
  std::string name;
  std::vector<json::value_t> types;
};

constexpr auto kText = json::value_t::string;
constexpr auto kNumber = json::value_t::number_integer;
constexpr auto kUnsigned = json::value_t::number_unsigned;
constexpr auto kFloat = json::value_t::number_float;
constexpr auto kObject = json::value_t::object;
constexpr auto kArray = json::value_t::array;
constexpr auto kBoolean = json::value_t::boolean;
constexpr auto kNull = json::value_t::null;

/// The fields of a job wherever one is shown.
const std::vector<Field> kJobFields{
    {"id", {kText}},
    {"name", {kText}},
    {"kind", {kText}},
    {"tenant", {kText}},
    {"labels", {kObject}},
    {"state", {kText}},
    {"reason", {kText}},
    {"step", {kNumber, kUnsigned}},
    {"total_steps", {kNumber, kUnsigned}},
    {"epoch", {kNumber, kUnsigned}},
    {"generation", {kNumber, kUnsigned}},
    {"roles", {kArray}},
    {"metrics", {kObject}},
    {"restarts", {kNumber, kUnsigned}},
    {"checkpoint", {kObject, kNull}},
};

void expect_fields(const json& document, const std::vector<Field>& fields) {
  ASSERT_TRUE(document.is_object()) << document;
  for (const auto& field : fields) {
    ASSERT_TRUE(document.contains(field.name)) << field.name << " is missing in " << document;
    const auto type = document.at(field.name).type();
    EXPECT_NE(std::find(field.types.begin(), field.types.end(), type), field.types.end())
        << field.name << " is " << document.at(field.name);
  }
}

/// A ledger that has seen `bodies`, beginning with the submission of job j-1.
Ledger make_ledger(const std::vector<Event::Body>& bodies = {}) {
  Ledger ledger;
  EXPECT_TRUE(ledger.apply({1000, "user", "", JobSubmitted{"j-1", "k", "job.yaml", "/data", kJobText}}));
  for (const auto& body : bodies) EXPECT_TRUE(ledger.apply({2000, "test", "", body}));
  return ledger;
}

Ledger make_running_ledger() {
  return make_ledger({LeaseGranted{1, "j-1", "node-1", 1, 0}, LeaseGranted{2, "j-1", "node-2", 1, 0},
                      LeaseGranted{3, "j-1", "node-2", 1, 0},
                      JobStateChanged{"j-1", JobState::starting, "its workers start"},
                      JobSized{"j-1", 100, 50}, GenerationFormed{"j-1", 1, {2, 1}, 0},
                      JobStateChanged{"j-1", JobState::running, "training"}, LeaseReleasing{1}});
}

json view_of(const Ledger& ledger, bool whole, const LiveJob* live = nullptr) {
  return job_view(*ledger.find("j-1"), live, "", ledger, {{2, 4711}}, whole);
}

TEST(Views, AJobHasTheLabelsAndTheDescriptionOfItsFile) {
  const auto ledger = make_ledger();
  const json labels{{"team", "search"}, {"stage", ""}};
  EXPECT_EQ(view_of(ledger, false).at("labels"), labels);
  EXPECT_EQ(view_of(ledger, true).at("labels"), labels);
  EXPECT_EQ(view_of(ledger, true).at("description"), "finds out what is asked for");
  EXPECT_FALSE(view_of(ledger, false).contains("description"));
}

TEST(Views, AJobSaysWhatEachOfItsWorkersHas) {
  Ledger ledger;
  const std::string text =
      "version: 1\nkind: command\nname: job\nrun: [\"true\"]\n"
      "resources: {cpus: 0.5, memory: 3Gi, gpu: H200:2}\n";
  ASSERT_TRUE(ledger.apply({1000, "user", "", JobSubmitted{"j-1", "k", "job.yaml", "/data", text}}));
  const json wanted{{"cpus", 0.5}, {"memory_bytes", 3ULL << 30}, {"gpus", 2}, {"gpu_kind", "H200"}};
  EXPECT_EQ(view_of(ledger, true).at("resources"), wanted);
  EXPECT_EQ(view_of(ledger, false).at("resources"), wanted);
}

TEST(Views, AJobIsListedWhereItHasAllLabelsThatAreAskedFor) {
  const std::map<std::string, std::string> labels{{"team", "search"}, {"stage", ""}};
  using Query = std::map<std::string, std::string>;
  for (const auto& query :
       {Query{}, Query{{"label.team", "search"}}, Query{{"label.stage", ""}, {"after", "7"}},
        Query{{"label.stage", ""}, {"label.team", "search"}}})
    EXPECT_TRUE(has_wanted_labels(labels, query));
  for (const auto& query : {Query{{"label.team", "searc"}}, Query{{"label.owner", ""}}, Query{{"label.", ""}},
                            Query{{"label.stage", "prod"}, {"label.team", "search"}}})
    EXPECT_FALSE(has_wanted_labels(labels, query));
}

TEST(Views, AJobHasTheFieldsThatScriptsRelyOn) {
  for (const auto& ledger : {make_ledger(), make_running_ledger()}) {
    expect_fields(view_of(ledger, false), kJobFields);
    const auto whole = view_of(ledger, true);
    expect_fields(whole, kJobFields);
    expect_fields(whole, {{"workers", {kArray}}, {"evaluations", {kArray}}});
  }
}

TEST(Views, AJobOfAListHasRolesAndNoWorkers) {
  const auto view = view_of(make_running_ledger(), false);
  EXPECT_FALSE(view.contains("workers"));
  ASSERT_EQ(view.at("roles").size(), 1U);
  expect_fields(view.at("roles").at(0),
                {{"role", {kText}}, {"node", {kText}}, {"pid", {kNumber, kUnsigned}}});
  EXPECT_EQ(view.at("roles").at(0).at("pid"), getpid());
}

TEST(Views, AServerIsARoleAndNoWorker) {
  const auto view = view_of(make_ledger({LeaseGranted{1, "j-1", "node-1", 1, 0},
                                         LeaseGranted{2, "j-1", "node-2", 0, 0, Role::server}}),
                            true);
  EXPECT_EQ(view.at("workers").size(), 1U);
  EXPECT_EQ(view.at("roles").at(1),
            json({{"role", "server"}, {"worker", 2}, {"node", "node-2"}, {"pid", 4711}}));
}

TEST(Views, AJobThatHasEndedHasNoRoles) {
  const auto ledger = make_ledger({CancelRequested{"j-1"}, JobStateChanged{"j-1", JobState::cancelled, ""}});
  EXPECT_EQ(view_of(ledger, false).at("roles"), json::array());
  EXPECT_EQ(view_of(ledger, false).at("state"), "CANCELLED");
}

TEST(Views, AWorkerWithoutRankOrPidHasNulls) {
  const auto workers = view_of(make_running_ledger(), true).at("workers");
  ASSERT_EQ(workers.size(), 3U);
  for (const auto& worker : workers) {
    expect_fields(worker, {{"worker", {kUnsigned}},
                           {"rank", {kNumber, kUnsigned, kNull}},
                           {"node", {kText}},
                           {"pid", {kNumber, kUnsigned, kNull}},
                           {"devices", {kArray}},
                           {"state", {kText}}});
  }
  const auto worker = [](int number, const json& rank, const char* node, const json& pid, const char* state) {
    return json({{"worker", number},
                 {"rank", rank},
                 {"node", node},
                 {"pid", pid},
                 {"devices", json::array()},
                 {"state", state}});
  };
  EXPECT_EQ(workers.at(0), worker(1, 1, "node-1", nullptr, "LEAVING"));
  EXPECT_EQ(workers.at(1), worker(2, 0, "node-2", 4711, "TRAINING"));
  EXPECT_EQ(workers.at(2), worker(3, nullptr, "node-2", nullptr, "STARTING"));
}

TEST(Views, ShowsWhatIsKnownOfAJobsProgress) {
  LiveJob live;
  live.step = 60;
  live.loss = 0.5;
  live.samples_per_second = 1000;
  live.has_loss = true;
  live.phase_seconds = {{"forward", 0.25}};
  const auto ledger = make_running_ledger();
  const auto view = view_of(ledger, false, &live);
  EXPECT_EQ(view.at("step"), 60);
  EXPECT_EQ(view.at("total_steps"), 100);
  EXPECT_EQ(view.at("epoch"), 1);
  EXPECT_EQ(view.at("checkpoint"), nullptr);
  EXPECT_EQ(view.at("metrics"),
            json({{"loss", 0.5}, {"samples_per_s", 1000.0}, {"phase_seconds", {{"forward", 0.25}}}}));
  live.noise_scale = 1240.5;
  EXPECT_EQ(view_of(ledger, false, &live).at("metrics").at("gradient_noise_scale"), 1240.5);
}

TEST(Views, ShowsTheNewestEvaluationAndCheckpoint) {
  auto ledger = make_running_ledger();
  for (const Event::Body& body : std::vector<Event::Body>{
           EvaluationRecorded{"j-1", 50, 0.75, {{"accuracy", 0.5}}, 0.25}, CheckpointCommitted{"j-1", 50}}) {
    ASSERT_TRUE(ledger.apply({3000, "test", "", body}));
  }
  const auto view = view_of(ledger, true);
  EXPECT_EQ(view.at("checkpoint"), json({{"step", 50}}));
  EXPECT_EQ(
      view.at("metrics"),
      json({{"loss", 0.75}, {"accuracy", 0.5}, {"majority_accuracy", 0.25}, {"validation_loss", 0.75}}));
  EXPECT_EQ(
      view.at("evaluations"),
      json::array(
          {{{"epoch", 1}, {"step", 50}, {"loss", 0.75}, {"accuracy", 0.5}, {"majority_accuracy", 0.25}}}));
}

TEST(Views, KeepsTheNoiseOfTheNewestEvaluationWhenNothingIsLiveAnyMore) {
  auto ledger = make_running_ledger();
  const EvaluationRecorded recorded{"j-1", 50, 0.75, {{"gradient_noise_scale", 300.5}}, 0.25};
  ASSERT_TRUE(ledger.apply({3000, "test", "", recorded}));
  EXPECT_EQ(view_of(ledger, false).at("metrics").at("gradient_noise_scale"), 300.5);
  LiveJob live;
  live.has_loss = true;
  live.noise_scale = 400;
  EXPECT_EQ(view_of(ledger, false, &live).at("metrics").at("gradient_noise_scale"), 400);
  live.noise_scale = 0;
  EXPECT_FALSE(view_of(ledger, false, &live).at("metrics").contains("gradient_noise_scale"))
      << "by now it is not known";
  live.has_loss = false;
  EXPECT_EQ(view_of(ledger, false, &live).at("metrics").at("gradient_noise_scale"), 300.5);
}

TEST(Views, AWaitingJobSaysWhatItWaitsFor) {
  const auto ledger = make_ledger();
  const auto view = job_view(*ledger.find("j-1"), nullptr, "needs 8 slots", ledger, {}, false);
  EXPECT_EQ(view.at("reason"), "needs 8 slots");
  EXPECT_EQ(view.at("state"), "QUEUED");
  EXPECT_EQ(view.at("started_ms"), nullptr);
}

TEST(Views, ANodeHasTheFieldsThatScriptsRelyOn) {
  NodeEntry node;
  node.name = "node-1";
  node.address = "127.0.0.1:4000";
  node.slots = 2;
  node.cores = 8;
  node.gpus = {"H200", "H200"};
  const auto view = node_view(node, 1, 1);
  expect_fields(view, {{"id", {kText}},
                       {"address", {kText}},
                       {"state", {kText}},
                       {"reason", {kText}},
                       {"slots", {kUnsigned}},
                       {"slots_used", {kUnsigned}},
                       {"cores", {kUnsigned}},
                       {"gpus", {kArray}},
                       {"gpus_total", {kUnsigned}},
                       {"gpus_used", {kUnsigned}},
                       {"gpu_kind", {kText}},
                       {"memory_bytes", {kUnsigned}},
                       {"pretends", {json::value_t::boolean}},
                       {"pid", {kNumber, kUnsigned}}});
  EXPECT_EQ(view.at("state"), "UP");
  EXPECT_EQ(view.at("slots_used"), 1);
  EXPECT_EQ(node_view(node, scheduler::SlotCount::of_thousandths(1501), 0).at("slots_used").dump(), "1.501");
  EXPECT_EQ(view.at("cores"), 8);
  EXPECT_EQ(view.at("gpus"), json({"H200", "H200"}));
  EXPECT_EQ(view.at("gpus_total"), 2);
  EXPECT_EQ(view.at("gpus_used"), 1);
  EXPECT_EQ(view.at("gpu_kind"), "H200");
}

TEST(Views, ANodeOffersItsGpusFromTheFirstOnThatAreOfOneKind) {
  NodeEntry node;
  EXPECT_EQ(node.usable_gpus(), 0U);
  node.gpus = {"H200", "H200", "A100", "H200"};
  EXPECT_EQ(node.usable_gpus(), 2U);
  EXPECT_EQ(node.gpu_kind(), "H200");
}

TEST(Views, ANodeThatCameBackWithOtherGpusHasNotThoseOfALeaseFromBefore) {
  using Devices = std::vector<std::uint32_t>;
  NodeEntry node;
  EXPECT_TRUE(node.has_devices({}, "")) << "who needs none";
  EXPECT_FALSE(node.has_devices(Devices{0}, ""));
  node.gpus = {"NVIDIA H200", "NVIDIA H200", "A100"};
  EXPECT_TRUE(node.has_devices(Devices{0, 1}, "h200"));
  EXPECT_TRUE(node.has_devices(Devices{1}, ""));
  EXPECT_FALSE(node.has_devices(Devices{1, 2}, "")) << "the third is not used";
  EXPECT_FALSE(node.has_devices(Devices{0}, "A100"));
}

TEST(Views, OneCheckpointIsTheBestByTheJobsGoal) {
  const std::vector<storage::CheckpointEntry> entries{
      {50, 1000, 1'767'225'600'000, {{"accuracy", 0.5}}},
      {100, 1000, 1'767'225'601'000, {{"accuracy", 0.75}}},
      {150, 1000, 1'767'225'602'000, {}},
  };
  const auto view = checkpoints_view(entries, {"accuracy", true});
  ASSERT_EQ(view.size(), 3U);
  for (const auto& checkpoint : view) {
    expect_fields(checkpoint, {{"step", {kUnsigned}},
                               {"bytes", {kUnsigned}},
                               {"time", {kText}},
                               {"metrics", {kObject}},
                               {"best", {kBoolean}}});
  }
  EXPECT_EQ(view.at(0).at("time"), "2026-01-01T00:00:00Z");
  EXPECT_EQ(view.at(0).at("best"), false);
  EXPECT_EQ(view.at(1).at("best"), true);
  EXPECT_EQ(view.at(2).at("best"), false);
  EXPECT_EQ(view.at(1).at("metrics").at("accuracy").type(), kFloat);
  const auto by_less = checkpoints_view(entries, {"accuracy", false});
  EXPECT_EQ(by_less.at(0).at("best"), true);
  EXPECT_EQ(by_less.at(1).at("best"), false);
  EXPECT_EQ(checkpoints_view({}, {"accuracy", true}), json::array());
}

TEST(Views, WhySaysCodeSentenceAndTheJobsInTheWay) {
  const auto ledger = make_ledger();
  const std::vector<Reason> reasons{{"no_capacity_now", "needs 4 slots, 1 is free", {"j-0"}}};
  const auto view = why_view(*ledger.find("j-1"), reasons);
  expect_fields(view, {{"state", {kText}}, {"reasons", {kArray}}, {"expected_start", {kObject, kNull}}});
  EXPECT_EQ(view.at("reasons"), json::array({{{"code", "no_capacity_now"},
                                              {"text", "needs 4 slots, 1 is free"},
                                              {"blocking", {"j-0"}},
                                              {"blocking_count", 1}}}));
  const std::vector<Reason> cut{{"no_capacity_now", "needs 40 slots", {"j-0"}, 56, 30}};
  const auto one = why_view(*ledger.find("j-1"), cut).at("reasons").at(0);
  EXPECT_EQ(one.at("blocking_count"), 57);
  EXPECT_EQ(one.at("enough"), 30);
  EXPECT_FALSE(one.contains("nodes"));
  const std::vector<Reason> drained{{"drain", "n1 is closed", {}, 0, 0, {"n1"}, 4}};
  const auto missing = why_view(*ledger.find("j-1"), drained).at("reasons").at(0);
  EXPECT_EQ(missing.at("nodes"), json({"n1"}));
  EXPECT_EQ(missing.at("nodes_count"), 5);
}

TEST(Views, WhyOfAJobThatHasEndedSaysHow) {
  const auto ledger = make_ledger({JobStateChanged{"j-1", JobState::failed, "crash 3"}});
  const auto view = why_view(*ledger.find("j-1"), {});
  EXPECT_EQ(view.at("job"), "j-1");
  EXPECT_EQ(view.at("ended_because"), "crash 3");
  EXPECT_FALSE(why_view(*make_ledger().find("j-1"), {}).contains("ended_because"));
}

TEST(Views, AJobIsListedWhereItsStateAndTenantAreAskedFor) {
  const auto ended = make_ledger({JobStateChanged{"j-1", JobState::failed, ""}}), waiting = make_ledger();
  const auto lists = [](const Ledger& ledger, const std::map<std::string, std::string>& query) {
    const auto filter = read_job_filter(query);
    return filter && is_wanted(*ledger.find("j-1"), *filter);
  };
  EXPECT_TRUE(lists(ended, {}) && lists(waiting, {{"after", "a"}}));
  EXPECT_TRUE(lists(ended, {{"state", "RUNNING,FAILED"}}));
  EXPECT_FALSE(lists(waiting, {{"state", "RUNNING,FAILED"}}));
  EXPECT_FALSE(lists(ended, {{"active", "true"}}));
  EXPECT_TRUE(lists(waiting, {{"active", "true"}}) && lists(ended, {{"active", "false"}}));
  EXPECT_TRUE(lists(ended, {{"tenant", "nlp"}}));
  EXPECT_FALSE(lists(ended, {{"tenant", "nl"}}));
  for (const auto& wrong : {std::pair("state", "failed"), std::pair("state", ""),
                            std::pair("state", "FAILED,"), std::pair("active", "yes")})
    EXPECT_FALSE(read_job_filter({wrong})) << wrong.second;
}

TEST(Views, EveryKindOfErrorHasItsStatusAndWord) {
  const std::vector<std::tuple<ErrorCode, int, std::string>> rows{
      {ErrorCode::invalid_argument, 400, "bad_request"},
      {ErrorCode::not_found, 404, "not_found"},
      {ErrorCode::already_exists, 409, "ambiguous"},
      {ErrorCode::permission_denied, 403, "not_allowed"},
      {ErrorCode::conflict, 409, "conflict"},
      {ErrorCode::resource_exhausted, 507, "resource_exhausted"},
      {ErrorCode::unavailable, 503, "unavailable"},
      {ErrorCode::deadline_exceeded, 504, "deadline_exceeded"},
      {ErrorCode::data_loss, 500, "internal"},
      {ErrorCode::cancelled, 503, "unavailable"},
      {ErrorCode::unsupported, 501, "unsupported"},
      {ErrorCode::internal, 500, "internal"},
  };
  for (const auto& [code, status, word] : rows) {
    const auto response = error_response({code, "what is wrong\xff", "what to do"});
    EXPECT_EQ(response.status, status) << word;
    const auto error = json::parse(response.body).at("error");
    EXPECT_EQ(error.at("code"), word);
    EXPECT_EQ(error.at("message"), "what is wrong\xef\xbf\xbd");
    EXPECT_EQ(error.at("hint"), "what to do");
  }
}

TEST(Views, AnInvalidJobTellsWhereInTheFile) {
  const std::vector<SpecError> errors{
      {"optimizer.lr", {7, 12}, "expected a number, got \"fast\"", "such as 1e-3"}};
  const auto response = invalid_job_response(errors, "job.yaml");
  EXPECT_EQ(response.status, 422);
  const auto error = json::parse(response.body).at("error");
  EXPECT_EQ(error.at("code"), "invalid_job");
  EXPECT_EQ(error.at("message"), "job.yaml is not a valid job");
  EXPECT_EQ(error.at("details"), json::array({{{"field", "optimizer.lr"},
                                               {"line", 7},
                                               {"column", 12},
                                               {"message", "expected a number, got \"fast\""},
                                               {"hint", "such as 1e-3"}}}));
}

}  // namespace
}  // namespace ds::head
