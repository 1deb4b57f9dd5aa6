// The cluster as a user meets it: up, run, Ctrl-C, cancel, down, and what is left afterwards.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    names.insert(entry.path().filename());
  return names;
}

/// Process ids of all programs of ours whose command line or environment names `folder`.
std::set<int> processes_of(const std::string& folder) {
  std::set<int> found;
  for (const auto& name : names_in("/proc")) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream command("/proc/" + name + "/cmdline"), environment("/proc/" + name + "/environ");
    const std::string all{std::istreambuf_iterator<char>(command), {}};
    const std::string variables{std::istreambuf_iterator<char>(environment), {}};
    const int pid = std::stoi(name);
    const bool ours = all.find("/ds-head") != std::string::npos ||
                      all.find("/ds-node") != std::string::npos || all.find("/ds-actor") != std::string::npos;
    if (ours && (all.find(folder) != std::string::npos || variables.find(folder) != std::string::npos))
      found.insert(pid);
  }
  return found;
}

/// Shared memory that belongs to one of `pids`: files in /dev/shm that it maps, and System V segments that it
/// made.
std::set<std::string> shared_memory_of(const std::set<int>& pids) {
  std::set<std::string> found;
  for (const int pid : pids) {
    std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
    for (std::string line; std::getline(maps, line);) {
      const auto at = line.find("/dev/shm/");
      if (at != std::string::npos) found.insert(line.substr(at));
    }
  }
  std::ifstream segments("/proc/sysvipc/shm");
  std::string line;
  std::getline(segments, line);
  while (std::getline(segments, line)) {
    std::istringstream fields(line);
    std::string key, id, permissions, size;
    int creator = 0;
    fields >> key >> id >> permissions >> size >> creator;
    if (pids.contains(creator)) found.insert("System V segment " + id);
  }
  return found;
}

class LocalCluster : public ::testing::Test {
 protected:
  Outcome ds_submit(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("ds-submit").string());
    return run_program(arguments, environment());
  }
  std::map<std::string, std::string> environment() {
    return {{"DS_HEAD", ""},
            {"DS_HOME", home().string()},
            {"TMPDIR", (folder_.path() / "tmp").string()},
            {"NO_COLOR", "1"}};
  }
  std::filesystem::path home() { return folder_.path() / "home"; }
  void SetUp() override { std::filesystem::create_directories(folder_.path() / "tmp"); }
  void TearDown() override { ds_submit({"down", "--purge"}); }

  TemporaryFolder folder_;
};

TEST_F(LocalCluster, LeavesNothingBehindAfterDown) {
  const auto up = ds_submit({"up", "--nodes", "2", "--slots", "2"});
  ASSERT_EQ(up.code, 0) << up.out << up.err;
  EXPECT_EQ(processes_of(home().string()).size(), 5U);  // a head, two nodes, each with its spawner
  const auto run = ds_submit({"run", "-f", write_job(folder_.path() / "data", "intents", 2, 1, 4).string()});
  EXPECT_EQ(run.code, 0) << run.out << run.err;
  const auto down = ds_submit({"down"});
  EXPECT_EQ(down.code, 0) << down.out << down.err;
  EXPECT_TRUE(processes_of(home().string()).empty());
  EXPECT_TRUE(names_in(folder_.path() / "tmp").empty());
  EXPECT_TRUE(names_in(home() / "run").empty());
}

TEST_F(LocalCluster, LeavesNothingBehindWhenItGoesDownWhileAJobTrains) {
  ASSERT_EQ(ds_submit({"up", "--nodes", "2", "--slots", "2"}).code, 0);
  const auto job = write_job(folder_.path() / "data", "intents", 500, 2, 4).string();
  ASSERT_EQ(ds_submit({"submit", "-f", job}).code, 0);
  ASSERT_TRUE(wait_until([&] { return ds_submit({"list"}).out.find("RUNNING") != std::string::npos; }));
  const auto pids = processes_of(home().string());
  EXPECT_GE(pids.size(), 7U);
  const auto memory = shared_memory_of(pids);
  EXPECT_EQ(ds_submit({"down"}).code, 0);
  EXPECT_TRUE(processes_of(home().string()).empty());
  for (const int pid : pids) EXPECT_FALSE(is_running(pid));
  for (const auto& name : memory) {
    EXPECT_TRUE(name.front() != '/' || !std::filesystem::exists(name)) << name;
  }
  EXPECT_TRUE(shared_memory_of(pids).empty());
  EXPECT_TRUE(names_in(folder_.path() / "tmp").empty());
}

TEST_F(LocalCluster, KeepsItsJobsOverDownAndUp) {
  ASSERT_EQ(ds_submit({"up", "--nodes", "1", "--slots", "2"}).code, 0);
  const auto job = write_job(folder_.path() / "data", "intents", 1, 1, 2).string();
  ASSERT_EQ(ds_submit({"run", "-f", job}).code, 0);
  ASSERT_EQ(ds_submit({"down"}).code, 0);
  ASSERT_EQ(ds_submit({"up", "--nodes", "1", "--slots", "2"}).code, 0);
  EXPECT_NE(ds_submit({"list"}).out.find("SUCCEEDED"), std::string::npos);
}

class Jobs : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_head();
    cluster_.start_node("node-1", 4);
    ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  }
  std::filesystem::path job(int epochs, int min_workers = 1, int max_workers = 2) {
    return write_job(cluster_.path() / "data", "intents", epochs, min_workers, max_workers);
  }
  Cluster cluster_;
};

TEST_F(Jobs, AreLearntFollowedAndListed) {
  const auto run = cluster_.submit({"run", "-f", job(4).string()});
  EXPECT_EQ(run.code, 0) << run.out << run.err << cluster_.logs();
  const auto list = cluster_.json({"list"});
  ASSERT_EQ(list.size(), 1U);
  const std::string id = list[0].at("id");
  const auto status = cluster_.status(id);
  EXPECT_EQ(status.at("state"), "SUCCEEDED");
  EXPECT_EQ(status.at("step"), status.at("total_steps"));
  EXPECT_EQ(status.at("evaluations").size(), 4U);
  const double accuracy = status.at("metrics").at("accuracy");
  EXPECT_GT(accuracy, 0.9);
  EXPECT_LT(status.at("metrics").at("majority_accuracy").get<double>(), 0.5);
  const auto checkpoints = cluster_.json({"checkpoints", id});
  ASSERT_GE(checkpoints.size(), 3U);
  EXPECT_EQ(checkpoints.back().at("step"), status.at("total_steps"));
  EXPECT_NE(cluster_.submit({"logs", id}).out.find("generation 1: rank 0"), std::string::npos);
}

TEST_F(Jobs, AreListedWhileOthersTrain) {
  const auto id = cluster_.submit_job(job(500));
  ASSERT_TRUE(cluster_.wait_for_step(id, 5)) << cluster_.logs();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(cluster_.json({"list"}).at(0).at("state"), "RUNNING");
}

TEST_F(Jobs, GoOnWhenTheirFollowerIsInterrupted) {
  const auto log = cluster_.path() / "run.txt";
  Process run({program("ds-submit").string(), "run", "-f", job(500).string()}, log,
              {{"DS_HEAD", cluster_.address()}});
  ASSERT_TRUE(wait_until([&] {
    const auto list = cluster_.json({"list"});
    return list.is_array() && list.size() == 1 && list[0].at("state") == "RUNNING";
  })) << cluster_.logs();
  run.signal(SIGINT);
  EXPECT_EQ(run.wait(), 130);
  const std::string id = cluster_.json({"list"})[0].at("id");
  std::ifstream stream(log);
  const std::string said{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_NE(said.find("ds-submit logs -f " + id), std::string::npos) << said;
  EXPECT_NE(said.find("ds-submit cancel " + id), std::string::npos) << said;
  const auto step = cluster_.status(id).at("step").get<std::uint64_t>();
  EXPECT_TRUE(cluster_.wait_for_step(id, step + 20));
}

TEST_F(Jobs, StartNothingAfterAnAcknowledgedCancel) {
  const auto id = cluster_.submit_job(job(500));
  ASSERT_TRUE(cluster_.wait_for_step(id, 5)) << cluster_.logs();
  const auto pids = cluster_.worker_pids(id);
  EXPECT_EQ(cluster_.submit({"cancel", id}).code, 0);
  EXPECT_EQ(cluster_.status(id).at("state"), "CANCELLED");
  for (const int pid : pids) EXPECT_TRUE(wait_until([&] { return !is_running(pid); }));
  EXPECT_TRUE(wait_until([&] { return cluster_.json({"nodes"}).at(0).at("slots_used") == 0; }));
  EXPECT_TRUE(cluster_.status(id).at("workers").empty());
}

TEST_F(Jobs, ShrinkSoThatAnotherCanStart) {
  const auto first = cluster_.submit_job(write_job(cluster_.path() / "data", "first", 500, 1, 4));
  ASSERT_TRUE(wait_until([&] { return cluster_.status(first).at("workers").size() == 4; }))
      << cluster_.logs();
  const auto second = cluster_.submit_job(write_job(cluster_.path() / "data", "second", 2, 2, 2));
  EXPECT_TRUE(cluster_.wait_for_state(second, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(wait_until([&] { return cluster_.status(first).at("workers").size() == 4; }))
      << cluster_.logs();
}

TEST_F(Jobs, ExportInThreeFormats) {
  const auto id = cluster_.submit_job(job(1));
  ASSERT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.logs();
  for (const std::string format : {"torchscript", "state_dict", "safetensors"}) {
    const auto file = cluster_.path() / ("model." + format);
    const auto exported = cluster_.submit({"export", id, "--format", format, "-o", file.string()});
    EXPECT_EQ(exported.code, 0) << exported.err << cluster_.logs();
    EXPECT_GT(std::filesystem::file_size(file), 10'000U);
  }
}

TEST_F(Jobs, FailWhenTheirDataIsDamagedFurtherDown) {
  // The data's header is right, a later row is not: the worker finds out and says where.
  const auto file = job(2);
  std::ofstream(cluster_.path() / "data/train.csv", std::ios::app) << "one,two,three\n";
  const auto run = cluster_.submit({"run", "-f", file.string()});
  EXPECT_EQ(run.code, 100) << run.out << run.err;
  const auto status = cluster_.json({"list"})[0];
  EXPECT_EQ(status.at("state"), "FAILED");
  EXPECT_NE(status.at("reason").get<std::string>().find("train.csv:2002:"), std::string::npos)
      << status.at("reason");
}

TEST_F(Jobs, FailWhenTheirDataChangesWhileTheyTrain) {
  const auto id = cluster_.submit_job(job(5000, 2, 2));
  ASSERT_TRUE(cluster_.wait_for_step(id, 5)) << cluster_.logs();
  const auto data = cluster_.path() / "data" / "train.csv";
  std::filesystem::resize_file(data, std::filesystem::file_size(data) / 2);
  ASSERT_TRUE(cluster_.wait_for_state(id, "FAILED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_NE(cluster_.status(id).at("reason").get<std::string>().find("train.csv"), std::string::npos)
      << cluster_.status(id);
}

TEST_F(Jobs, EndAtTheirTargetAndSaySo) {
  const auto file = job(5000);
  std::ifstream stream(file);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  text = std::regex_replace(text, std::regex("until: .*"), "until: {epochs: 5000, metric: {accuracy: 0.9}}");
  std::ofstream(file) << text;
  const auto run = cluster_.submit({"run", "-f", file.string()});
  EXPECT_EQ(run.code, 0) << run.out << run.err << cluster_.logs();
  const auto status = cluster_.status(cluster_.json({"list"}).at(0).at("id"));
  EXPECT_LT(status.at("step"), status.at("total_steps"));
  EXPECT_GE(status.at("metrics").at("accuracy").get<double>(), 0.9);
  EXPECT_NE(status.at("reason").get<std::string>().find("until.metric"), std::string::npos) << status;
  EXPECT_EQ(status.at("checkpoint").at("step"), status.at("step"));
}

TEST_F(Jobs, FailWhenTheirLossIsNoNumberAndNameTheStep) {
  const auto file = job(50);
  std::ifstream stream(file);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  text = std::regex_replace(text, std::regex("lr: [0-9e.-]+"), "lr: 1e30");
  std::ofstream(file) << text;
  const auto run = cluster_.submit({"run", "-f", file.string()});
  EXPECT_EQ(run.code, 100) << run.out << run.err;
  EXPECT_TRUE(std::regex_search(run.out + run.err, std::regex("step [0-9]+: the (loss|gradient)")))
      << run.err;
}

TEST_F(Jobs, FailWhenTheirWorkersKeepCrashing) {
  const auto file = job(500, 1, 1);
  std::ofstream(file, std::ios::app) << "restart: 1\n";
  const auto id = cluster_.submit_job(file);
  std::set<int> crashed;
  EXPECT_TRUE(wait_until([&] {
    for (const int pid : cluster_.worker_pids(id)) {
      if (crashed.insert(pid).second) kill(pid, SIGSEGV);
    }
    return cluster_.status(id).at("state") == "FAILED";
  })) << cluster_.logs();
  EXPECT_EQ(crashed.size(), 2U);
  EXPECT_NE(cluster_.status(id).at("reason").get<std::string>().find("killed by signal 11"),
            std::string::npos);
  EXPECT_TRUE(wait_until([&] { return cluster_.json({"nodes"}).at(0).at("slots_used") == 0; }));
}

TEST_F(Jobs, AreFollowedWhileTheHeadIsKilledAndStartedAgain) {
  const auto log = cluster_.path() / "run.txt";
  Process run({program("ds-submit").string(), "run", "-f", job(40).string()}, log,
              {{"DS_HEAD", cluster_.address()}});
  ASSERT_TRUE(wait_until([&] {
    const auto list = cluster_.json({"list"});
    return list.is_array() && list.size() == 1 && list[0].at("step").get<int>() > 10;
  })) << cluster_.logs();
  cluster_.head().kill_and_wait();
  cluster_.start_head();
  EXPECT_EQ(run.wait(), 0) << cluster_.logs();
}

TEST_F(Jobs, HaveTheirLogFollowedToTheEnd) {
  const auto id = cluster_.submit_job(job(10));
  const auto logs = cluster_.submit({"logs", "-f", id});
  EXPECT_EQ(logs.code, 0) << logs.err;
  EXPECT_NE(logs.out.find("generation 1: rank 0"), std::string::npos) << logs.out;
  EXPECT_EQ(cluster_.status(id).at("state"), "SUCCEEDED");
}

TEST(ElasticJob, TrainsOnWhileANewWorkerCannotJoinIt) {
  Cluster cluster;
  cluster.start_head();
  cluster.start_node("node-1", 1);
  ASSERT_TRUE(cluster.wait_for_nodes(1)) << cluster.logs();
  const auto folder = cluster.path() / "data", data = folder / "train.csv", away = folder / "away.csv";
  const auto id = cluster.submit_job(write_job(folder, "intents", 5000, 1, 2));
  ASSERT_TRUE(cluster.wait_for_step(id, 5)) << cluster.logs();
  const auto trains_without_it = [&](const std::string& why) {
    return wait_until([&] {
             const auto status = cluster.status(id);
             const std::string reason = status.at("reason");
             return status.at("state") != "RUNNING" || (reason.find("could not join") != std::string::npos &&
                                                        reason.find(why) != std::string::npos);
           }) &&
           cluster.status(id).at("state") == "RUNNING";
  };
  std::filesystem::rename(data, away);  // who has it open reads on
  cluster.start_node("node-2", 1);
  EXPECT_TRUE(trains_without_it("train.csv")) << cluster.status(id) << cluster.logs();
  std::filesystem::copy_file(away, folder / "other.csv");
  std::ofstream(folder / "other.csv", std::ios::app) << "\"another row\",music\n";
  std::filesystem::rename(folder / "other.csv", data);
  EXPECT_TRUE(trains_without_it("other training data")) << cluster.status(id) << cluster.logs();
  const auto step = cluster.status(id).at("step").get<std::uint64_t>();
  EXPECT_TRUE(cluster.wait_for_step(id, step + 20)) << cluster.status(id) << cluster.logs();
  std::filesystem::rename(away, data);
  EXPECT_TRUE(wait_until([&] { return cluster.status(id).at("reason") == "trains with 2 workers"; }))
      << cluster.status(id) << cluster.logs();
  EXPECT_GE(cluster.status(id).at("restarts"), 2) << "they are counted all the same";
}

}  // namespace
}  // namespace ds::tests
