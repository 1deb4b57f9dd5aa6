// Models that are served: what kills or stops their replicas, a head that is started again, what they keep
// and what is refused. What faults do to requests under load is in serve_faults_test.cpp.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "tests/integration/served_models.hpp"

namespace ds::tests {
namespace {

using ServeJobs = ServedModels;

/// Dividing the smallest number by -1 is what a processor stops a program for.
TEST_F(ServeJobs, LoseTwoReplicasAtMostToARequestThatKillsThemAndAnswerAllOthers) {
  ASSERT_NO_FATAL_FAILURE(
      run_torch("class Divide(torch.nn.Module):\n"
                "    def forward(self, x):\n"
                "        return torch.div(x, -torch.ones_like(x), rounding_mode='trunc')\n"
                "torch.jit.script(Divide()).save(sys.argv[1] + '/divide.pt')\n"));
  const auto job = cluster_.submit_job(write_serve(
      "answers", "{source: \"file:divide.pt\", inputs: [{name: x, datatype: INT64, shape: [-1, 1]}]}",
      "replicas: 3\nbatching: {mode: fixed, max_size: 4, max_delay: 20ms}\n"));
  ASSERT_TRUE(has_replicas(job, 3)) << cluster_.logs();
  const auto body_of = [](std::int64_t number) {
    Json input{{"name", "x"}, {"datatype", "INT64"}, {"shape", {1, 1}}, {"data", {number}}};
    return Json{{"inputs", Json::array({std::move(input)})}};
  };
  std::atomic<std::int64_t> next{1};
  Askers askers(8, [&]() -> std::string {
    const auto number = next++;
    const auto [status, text] = post(body_of(number));
    if (status != 200) return std::to_string(status) + " " + text;
    return Json::parse(text).at("outputs").at(0).at("data").at(0) == -number ? "" : text;
  });
  ASSERT_TRUE(askers.have_more_answers(20));
  const auto crashes = [&] {
    const auto page = cluster_.json({"events", job});
    int workers = page.is_object() ? 0 : -1;
    for (const auto& one : page.is_object() ? page.at("events") : Json::array())
      workers += one.at("what") == "crashed" ? one.value("workers", 1) : 0;
    return workers;
  };
  EXPECT_EQ(crashes(), 0);
  const auto [status, text] = post(body_of(std::numeric_limits<std::int64_t>::min()));
  EXPECT_EQ(status, 500) << text;
  EXPECT_NE(text.find("two replicas died while they had this request"), std::string::npos) << text;
  EXPECT_TRUE(wait_until([&] { return crashes() == 2; })) << cluster_.logs();  // the client knew first
  EXPECT_TRUE(has_replicas(job, 3)) << cluster_.logs();
  EXPECT_TRUE(askers.have_more_answers(20));
  EXPECT_EQ(crashes(), 2) << cluster_.logs();
  askers.stop();
  EXPECT_EQ(askers.wrong(), 0) << askers.first_wrong() << cluster_.logs();
}

TEST_F(ServeJobs, HaveReplicasThatShareSlots) {
  ASSERT_NO_FATAL_FAILURE(
      run_torch("class Double(torch.nn.Module):\n"
                "    def forward(self, x):\n"
                "        return x * 2\n"
                "torch.jit.script(Double()).save(sys.argv[1] + '/double.pt')\n"));
  const auto file = cluster_.path() / "answers.yaml";
  std::ofstream(file)
      << "version: 1\nkind: serve\nname: answers\nresources: {cpus: 0.5, memory: 256Mi}\n"
      << "model: {source: \"file:double.pt\", inputs: [{name: x, datatype: INT64, shape: [-1, 1]}]}\n"
      << "replicas: 3\n";
  const auto job = cluster_.submit_job(file);
  ASSERT_TRUE(has_replicas(job, 3)) << cluster_.logs();
  double used = 0;
  for (const auto& node : cluster_.json({"nodes"})) used += node.at("slots_used").get<double>();
  EXPECT_EQ(used, 1.5);
  for (int number = 0; number < 6; ++number) {
    Json input{{"name", "x"}, {"datatype", "INT64"}, {"shape", {1, 1}}, {"data", {number}}};
    const auto [status, text] = post(Json{{"inputs", Json::array({std::move(input)})}});
    ASSERT_EQ(status, 200) << text;
    EXPECT_EQ(Json::parse(text).at("outputs").at(0).at("data").at(0), 2 * number);
  }
}

TEST_F(ServeJobs, LeaveADrainedNodeThoughTheirReplicaStandsStill) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("drain: 1s\n");
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  const auto pids = cluster_.worker_pids(job);
  const std::string node = cluster_.status(job).at("workers").at(0).at("node");
  ASSERT_EQ(kill(pids.front(), SIGSTOP), 0);
  ASSERT_EQ(cluster_.submit({"drain", node}).code, 0);
  EXPECT_TRUE(wait_until([&] {
    const auto nodes = cluster_.json({"nodes"});
    return nodes.is_array() && std::ranges::any_of(nodes, [&](const auto& one) {
             return one.at("id") == node && one.at("state") == "DRAINED";
           });
  })) << cluster_.logs();
  EXPECT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  EXPECT_FALSE(label_of("hello there").empty());
}

TEST_F(ServeJobs, GoOnWithAnotherReplicaWhenAModelDoesNotComeBackFromAnInput) {
  ASSERT_NO_FATAL_FAILURE(
      run_torch("class Model(torch.nn.Module):\n"
                "    def forward(self, x):\n"
                "        while bool((x > 0).any()):\n"
                "            x = x + 1\n"
                "        return x\n"
                "torch.jit.script(Model()).save(sys.argv[1] + '/model.pt')\n"));
  const std::string model =
      "{source: \"file:model.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 1]}], outputs: [{name: "
      "y}]}";
  const auto job = cluster_.submit_job(write_serve("answers", model, "queue: {timeout: 1s}\n"));
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  const auto ask = [&](float x) {
    Json input{{"name", "x"}, {"datatype", "FP32"}, {"shape", {1, 1}}, {"data", {x}}};
    return post(Json{{"inputs", Json::array({std::move(input)})}}).first;
  };
  EXPECT_EQ(ask(-1), 200);
  const auto pids = cluster_.worker_pids(job);
  EXPECT_EQ(ask(1), 504);
  EXPECT_TRUE(wait_until([&] { return knows_none_of(job, pids); })) << cluster_.logs();
  EXPECT_TRUE(wait_until([&] { return ask(-1) == 200; })) << cluster_.logs();
}

TEST_F(ServeJobs, GoOnWhileTheHeadIsStartedAgain) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("replicas: {min: 0, max: 2}\nautoscale: {to_zero_after: 10s}\n");
  ASSERT_FALSE(label_of("hello there").empty()) << cluster_.logs();
  const auto pids = cluster_.worker_pids(job);
  ASSERT_EQ(pids.size(), 1U);
  kill_head_and_start_another();
  EXPECT_FALSE(label_of("hello there").empty()) << cluster_.logs();
  EXPECT_EQ(cluster_.worker_pids(job), pids) << "the replica was not taken back";
  ASSERT_TRUE(has_replicas(job, 0)) << cluster_.logs();
  kill_head_and_start_another();
  EXPECT_EQ(cluster_.status(job).at("state"), "RUNNING") << "one that sleeps sleeps on";
  const auto metadata = client().Get("/v2/models/answers");  // which only a replica knows
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->status, 200) << metadata->body;
  EXPECT_FALSE(label_of("hello there").empty()) << cluster_.logs();
}

TEST_F(ServeJobs, AnswerWhatTheyHaveTakenBeforeTheyEnd) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto job = serve("batching: {mode: fixed, max_delay: 2s}\n");
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  const auto pid = cluster_.worker_pids(job).at(0);
  std::pair<int, std::string> taken;
  std::thread asker([&] { taken = post(request({"hello there"})); });
  EXPECT_TRUE(wait_until([&] {
    const auto metrics = client().Get("/metrics");
    return metrics && metrics->body.find("ds_infer_ongoing{model=\"answers\"} 1\n") != std::string::npos;
  }));
  EXPECT_EQ(cluster_.submit({"cancel", job}).code, 0);
  asker.join();
  EXPECT_TRUE(wait_until([&] { return !is_running(pid); })) << "an orphan is left";
  EXPECT_EQ(taken.first, 200) << taken.second;
  const auto after = post(request({"hello there"}));
  EXPECT_EQ(after.first, 404);
  EXPECT_NE(after.second.find("Request for unknown model"), std::string::npos) << after.second;
}

TEST_F(ServeJobs, KeepTheCheckpointThatTheyServeAndAreRefusedWhatThereIsNot) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto refused = [&](const std::string& name, const std::string& model, int code,
                           const std::string& text) {
    const auto outcome = cluster_.submit({"submit", "-f", write_serve(name, model, "").string()});
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
  };
  refused("answers", "{source: \"ckpt:nobody\"}", 3, "there is no training job \"nobody\"");
  refused("answers", "{source: \"ckpt:" + job_ + "@7\"}", 3, "has no checkpoint of step 7");
  const auto job = serve("");
  ASSERT_TRUE(has_replicas(job, 1)) << cluster_.logs();
  refused("answers", checkpoint(), 10, "serves a model named answers already");
  EXPECT_EQ(cluster_.submit({"cancel", job}).code, 0);
  ASSERT_TRUE(cluster_.wait_for_state(job, "CANCELLED"));
  EXPECT_EQ(cluster_.submit({"retry", job}).code, 0);
  EXPECT_FALSE(label_of("hello there").empty()) << cluster_.logs();
  const auto lost =
      cluster_.submit_job(write_serve("lost", "{source: \"file:there_is_none.pt\"}", "restart: 0\n"));
  EXPECT_TRUE(cluster_.wait_for_state(lost, "FAILED")) << cluster_.logs();
  EXPECT_NE(cluster_.status(lost).at("reason").get<std::string>().find("there_is_none.pt"), std::string::npos)
      << cluster_.status(lost);
}

/// One would write a file when it runs, the other while torch loads it.
TEST_F(ServeJobs, OfAFileThatReachesOutOfItsProcessFailAndReachNothing) {
  ASSERT_NO_FATAL_FAILURE(run_torch(R"py(
import zipfile
class Writes(torch.nn.Module):
    def forward(self, x):
        torch.ops.aten.save(x, "FOLDER/written")
        return x
class Scales(torch.nn.Module):
    def forward(self, x, scale: float = 2.0):
        return x * scale
def save(module, name, old, new):
    torch.jit.script(module).save(sys.argv[1] + "/given.pt")
    with zipfile.ZipFile(sys.argv[1] + "/given.pt") as given, zipfile.ZipFile(sys.argv[1] + "/" + name, "w") as made:
        for record in given.namelist():
            data = given.read(record)
            assert not record.endswith(".py") or old in data, data
            made.writestr(record, data.replace(old, new.replace(b"FOLDER", sys.argv[1].encode())))
save(Writes(), "writes.pt", b"FOLDER", b"FOLDER")
save(Scales(), "scales.pt", b": float=2.", b": Tensor=torch.from_file('FOLDER/written', True, 3)")
)py"));
  const auto reason = [&](const std::string& name) {
    const auto model =
        "{source: \"file:" + name + ".pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]}";
    const auto job = cluster_.submit_job(write_serve(name, model, "restart: 0\n"));
    EXPECT_TRUE(cluster_.wait_for_state(job, "FAILED")) << cluster_.logs();
    return cluster_.status(job).at("reason").get<std::string>();
  };
  const auto writes = reason("writes"), scales = reason("scales");
  EXPECT_NE(writes.find("the operator aten::save, which serving does not allow"), std::string::npos)
      << writes;
  EXPECT_NE(scales.find("runs while loading (the default of scale is computed)"), std::string::npos)
      << scales;
  EXPECT_FALSE(std::filesystem::exists(cluster_.path() / "written"));
}

}  // namespace
}  // namespace ds::tests
