// Every kind of model ends with the same weights, whatever happens to its processes: worker and server
// killed, a node gone, another come. DS_ALL_MODELS=1 runs each with both strategies in both precisions.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/integration/two_nodes.hpp"
#include "tests/small_images.hpp"

namespace ds::tests {
namespace {

struct Case {
  std::string model, precision;
  bool servers = false;
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.model << ' ' << one.precision << (one.servers ? " on servers" : "");
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const Case& one = info.param;
  return one.model + "_" + one.precision + (one.servers ? "_servers" : "_allreduce");
}

std::vector<Case> chosen_cases() {
  std::vector<Case> cases;
  for (const char* model : {"resnet", "transformer", "lstm", "torchscript"}) {
    for (const char* precision : {"fp32", "bf16"}) {
      for (const bool servers : {false, true}) cases.push_back({model, precision, servers});
    }
  }
  if (std::getenv("DS_ALL_MODELS") != nullptr) return cases;
  // Each model once, and each of the four ways once: fp32 on servers, bf16 without, bf16 on servers, fp32
  // without.
  return {cases[1], cases[4 + 2], cases[8 + 3], cases[12]};
}

/// Long enough for everything that happens meanwhile.
std::uint64_t steps_of(const Case& one) {
  return one.model == "torchscript" ? 2'500 : 500;
}

bool takes_images(const Case& one) {
  return one.model == "resnet" || one.model == "torchscript";
}

/// Data, and the module where there is one; false when it was not exported.
bool write_data(const Case& one, const std::filesystem::path& folder) {
  write_job(folder, "texts", 1, 1, 4);
  for (const auto& [name, rows, seed] : {std::tuple("train", 1'000U, 1U), std::tuple("test", 90U, 2U)}) {
    const IdxFiles files = bar_images(rows, seed);
    std::ofstream(folder / (name + std::string("-images.idx")), std::ios::binary) << files.images;
    std::ofstream(folder / (name + std::string("-labels.idx")), std::ios::binary) << files.labels;
  }
  if (one.model != "torchscript") return true;
  // Once, for every job: an archive tells where its script lay, and a job's state tells the archive's sum.
  static const std::string module = [&] {
    const auto script = folder / "export.py", file = folder / "module.pt";
    std::ofstream(script) << kExportModule;
    const bool made = run_program({"/usr/bin/python3", script.string(), file.string()}).code == 0;
    std::ifstream bytes(file, std::ios::binary);
    return made ? std::string{std::istreambuf_iterator<char>(bytes), {}} : std::string();
  }();
  std::ofstream(folder / "module.pt", std::ios::binary) << module;
  return !module.empty();
}

std::filesystem::path write_job_of(const Case& one, const std::filesystem::path& folder,
                                   const std::string& strategy) {
  static const std::map<std::string, std::string> kModels{
      {"resnet", "{zoo: resnet, blocks: [1, 1], width: 4}"},
      {"transformer", "{zoo: transformer, layers: 1, width: 16, heads: 2, feed_forward: 32, dropout: 0.1}"},
      {"lstm", "{zoo: lstm, layers: 1, width: 12, dropout: 0.1}"},
      {"torchscript", "{torchscript: module.pt}"},
  };
  const auto source = [&](const std::string& name) {
    return takes_images(one)
               ? "{source: " + name + "-images.idx, labels: " + name + "-labels.idx, format: idx}\n"
               : "{source: " + name + ".csv, format: csv, columns: {text: text, label: topic}}\n";
  };
  const auto job = folder / "job.yaml";
  std::ofstream(job) << "version: 1\nkind: train\nname: " << one.model
                     << "\nresources: {cpus: 1, memory: 256Mi}\nworkers: {min: 1, max: 4}\nmodel: "
                     << kModels.at(one.model) << "\ndata:\n  train: " << source("train")
                     << "  validate: " << source("test") << "  transforms:\n"
                     << (takes_images(one)
                             ? "    - crop: {size: [12, 12], padding: 1}\n    - flip: {}\n"
                             : "    - tokenize: {vocabulary: 1000}\n    - pad_sequences: {length: 12}\n")
                     << "batch: {global: 32, accumulate: 2}\noptimizer: {name: adamw, lr: 1e-3}\n"
                     << "loss: cross_entropy\nprecision: " << one.precision << "\nstrategy: " << strategy
                     << "\nuntil: {steps: " << steps_of(one) << "}\ncheckpoint: {every: 50 steps}\nseed: 7\n";
  return job;
}

std::string weights_of(const Cluster& cluster, const std::string& job) {
  EXPECT_TRUE(cluster.wait_for_state(job, "SUCCEEDED"))
      << cluster.status(job) << cluster.submit({"logs", job}).out << cluster.logs();
  return cluster.exported_weights(job);
}

/// The weights of a run on one worker that nobody disturbed, computed once.
const std::string& undisturbed_weights(const Case& one) {
  static std::map<std::pair<std::string, std::string>, std::string> known;
  std::string& weights = known[{one.model, one.precision}];
  if (weights.empty()) {
    Cluster cluster;
    cluster.start_head();
    cluster.start_node("node-1", 1);
    write_data(one, cluster.path() / "data");
    weights =
        weights_of(cluster, cluster.submit_job(write_job_of(one, cluster.path() / "data", "allreduce")));
  }
  return weights;
}

class ModelBits : public TwoNodes, public testing::WithParamInterface<Case> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_data(GetParam(), folder_)) << "python3-torch (deploy/packages.txt) exported no module";
    TwoNodes::SetUp();
  }

  bool is_whole(const std::string& job, std::size_t workers) const {
    const auto training = [&] {
      const auto now = cluster_.status(job);
      return now.is_object() && std::ranges::count(now.at("workers"), "TRAINING", [](const auto& worker) {
                                  return worker.at("state");
                                }) == static_cast<std::ptrdiff_t>(workers);
    };
    return wait_until(training) && (!GetParam().servers || has_whole_servers(job));
  }

  void advance(const std::string& job) {
    const std::uint64_t now = cluster_.status(job).at("step");
    const std::uint64_t all = steps_of(GetParam());
    ASSERT_LT(now, all) << "the job was over too early" << cluster_.logs();
    ASSERT_TRUE(cluster_.wait_for_step(job, std::min(now + 1 + random_() % 30, all))) << cluster_.logs();
  }

  const std::filesystem::path folder_ = cluster_.path() / "data";
};

INSTANTIATE_TEST_SUITE_P(All, ModelBits, testing::ValuesIn(chosen_cases()), name_of);

TEST_P(ModelBits, AreThoseOfOneWorkerWhenProcessesDieAndTheGangShrinksAndGrows) {
  const std::string& undisturbed = undisturbed_weights(GetParam());
  ASSERT_FALSE(undisturbed.empty());
  const auto job = cluster_.submit_job(write_job_of(
      GetParam(), folder_, GetParam().servers ? "parameter_server\nservers: 2\nreplicas: 1" : "allreduce"));
  ASSERT_TRUE(is_whole(job, 4)) << cluster_.logs();
  ASSERT_NO_FATAL_FAILURE(advance(job));
  const auto workers = cluster_.worker_pids(job);
  kill(workers.at(random_() % workers.size()), SIGKILL);
  ASSERT_TRUE(wait_until([&] { return cluster_.status(job).at("restarts") == 1; })) << cluster_.logs();
  if (GetParam().servers) {
    ASSERT_TRUE(is_whole(job, 4)) << cluster_.logs();
    ASSERT_NO_FATAL_FAILURE(advance(job));
    kill(cluster_.role_pids(job, "server").at(random_() % 2), SIGKILL);
    ASSERT_TRUE(wait_until([&] { return cluster_.status(job).at("restarts") == 2; })) << cluster_.logs();
  }
  ASSERT_TRUE(is_whole(job, 4)) << cluster_.logs();
  ASSERT_NO_FATAL_FAILURE(advance(job));
  cluster_.node("node-2").kill_and_wait();
  cluster_.forget_node("node-2");
  ASSERT_TRUE(is_whole(job, 2)) << cluster_.logs();
  ASSERT_NO_FATAL_FAILURE(advance(job));
  cluster_.start_node("node-3", 2);
  ASSERT_TRUE(is_whole(job, 4)) << cluster_.logs();
  EXPECT_LT(cluster_.status(job).at("step"), steps_of(GetParam())) << "the gang grew too late";
  EXPECT_TRUE(weights_of(cluster_, job) == undisturbed) << "seed " << seed_ << cluster_.logs();
}

}  // namespace
}  // namespace ds::tests
