// Jobs whose programs have GPUs of their own, on nodes that state theirs, while heads die.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class GpuJobs : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(work() / "claims");
    cluster_.start_head();
    cluster_.start_node("node-1", 4, {"--gpus", "NVIDIA H200:3"});
    cluster_.start_node("node-2", 4, {"--gpus", "A100:2"});
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }

  std::filesystem::path work() const { return cluster_.path() / "work"; }

  /// A job whose programs take each GPU that they see by a folder, which can be made once, until a file
  /// called `stop-NAME` is there or they are told to end. All ranks of one job have the same kind: `claims`.
  std::string submit(const std::string& name, const std::string& resources, int workers,
                     const std::string& kind, const std::string& more = "") const {
    const auto file = work() / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: " << name << "\nworkers: " << workers
                        << "\nresources: {memory: 16Mi, gpu: " << resources << "}\n"
                        << more << "run: |\n"
                        << "  mine=$(echo $CUDA_VISIBLE_DEVICES | tr , ' ')\n"
                        << "  for d in $mine; do mkdir claims/" << kind << "-$d || echo " << name
                        << " $d >> twice; done\n"
                        << "  leave() { for d in $mine; do rmdir claims/" << kind << "-$d; done; exit $1; }\n"
                        << "  trap 'leave 1' TERM\n"
                        << "  echo $CUDA_VISIBLE_DEVICES > seen-" << name << "-$RANK\n"
                        << "  while [ ! -e stop-" << name << " ]; do sleep 0.05; done\n"
                        << "  leave 0\n";
    return cluster_.submit_job(file);
  }
  void stop(const std::string& name) const { std::ofstream(work() / ("stop-" + name)) << "now"; }

  /// What the program of a rank has been shown; waits for it.
  std::string seen_by(const std::string& name, int rank) const {
    const auto file = work() / ("seen-" + name + "-" + std::to_string(rank));
    EXPECT_TRUE(wait_until([&] { return !text_of(file).empty(); })) << name << cluster_.logs();
    const auto text = text_of(file);
    return text.substr(0, text.find('\n'));
  }

  void kill_head_and_start_another() {
    cluster_.head().kill_and_wait();
    cluster_.start_head();
    ASSERT_TRUE(cluster_.wait_for_nodes(2)) << cluster_.logs();
  }

  nlohmann::json reason_of(const std::string& id, const std::string& code) const {
    const auto why = cluster_.json({"why", id});
    if (!why.is_object()) return nullptr;
    for (const auto& reason : why.at("reasons")) {
      if (reason.at("code") == code) return reason;
    }
    return nullptr;
  }

  Cluster cluster_;
};

TEST_F(GpuJobs, EachGpuIsOneProgramsAloneThoughHeadsDie) {
  const auto two = submit("two", "h200", 2, "h200");
  ASSERT_TRUE(cluster_.wait_for_state(two, "RUNNING")) << cluster_.logs();
  EXPECT_EQ((std::set<std::string>{seen_by("two", 0), seen_by("two", 1)}), (std::set<std::string>{"0", "1"}));
  const auto other = submit("other", "A100:2", 1, "a100");
  EXPECT_EQ(seen_by("other", 0), "0,1");
  const auto one = submit("one", "H200:1", 1, "h200");
  EXPECT_EQ(seen_by("one", 0), "2");
  const auto waits = submit("waits", "H200:2", 1, "h200");
  ASSERT_TRUE(wait_until([&] { return !reason_of(waits, "no_capacity_now").is_null(); }));

  kill_head_and_start_another();  // which says at first that it waits for its nodes
  EXPECT_TRUE(wait_until([&] {
    const auto reason = reason_of(waits, "no_capacity_now");
    return reason.is_object() &&
           reason.at("text").get<std::string>().find("0 of 3 H200 GPUs") != std::string::npos;
  })) << cluster_.json({"why", waits})
      << cluster_.logs();
  const auto table = cluster_.submit({"nodes"}).out;
  EXPECT_NE(table.find("3/3 NVIDIA H200"), std::string::npos) << table;
  EXPECT_NE(table.find("free GPUs: 0 of 2 A100, 0 of 3 NVIDIA H200"), std::string::npos) << table;
  for (const auto& id : {two, other, one})
    EXPECT_EQ(cluster_.status(id).at("generation"), 1) << "it was started again";

  stop("one");
  ASSERT_TRUE(cluster_.wait_for_state(one, "SUCCEEDED")) << cluster_.logs();
  EXPECT_FALSE(reason_of(waits, "no_capacity_now").is_null()) << "one GPU is not two";
  stop("two");
  kill_head_and_start_another();  // wherever that is
  EXPECT_EQ(seen_by("waits", 0), "0,1");
  const auto more = submit("more", "H200:1", 1, "h200");
  EXPECT_EQ(seen_by("more", 0), "2");
  kill_head_and_start_another();
  for (const auto* name : {"waits", "more", "other"}) stop(name);
  for (const auto& id : {two, waits, more, other})
    EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(text_of(work() / "twice"), "");
  EXPECT_TRUE(std::filesystem::is_empty(work() / "claims"));
  EXPECT_TRUE(wait_until([&] {
    const auto nodes = cluster_.json({"nodes"});
    return nodes.is_array() &&
           std::ranges::all_of(nodes, [](const auto& n) { return n.at("gpus_used") == 0; });
  }));
}

TEST_F(GpuJobs, TakeTheMostWantedOfTheirKindsThatIsFree) {
  const auto best = submit("best", "[H200:2, A100:2]", 1, "h200");
  EXPECT_EQ(seen_by("best", 0), "0,1");
  EXPECT_EQ(cluster_.status(best).at("workers").at(0).at("node"), "node-1");
  const auto next = submit("next", "[H200:2, A100:2]", 1, "a100");
  EXPECT_EQ(seen_by("next", 0), "0,1");
  EXPECT_EQ(cluster_.status(next).at("workers").at(0).at("node"), "node-2");
  EXPECT_EQ(cluster_.status(next).at("resources").at("gpu_kind"), "H200|A100");
  const auto waits = submit("waits", "[H200:2, A100:2]", 1, "h200");
  ASSERT_TRUE(wait_until([&] { return !reason_of(waits, "no_capacity_now").is_null(); })) << cluster_.logs();
  const auto text = reason_of(waits, "no_capacity_now").at("text").get<std::string>();
  EXPECT_NE(text.find("1 of 5 H200 or A100 GPUs"), std::string::npos) << text;
  kill_head_and_start_another();
  stop("best");
  EXPECT_EQ(seen_by("waits", 0), "0,1");
  for (const auto* name : {"next", "waits"}) stop(name);
  for (const auto& id : {best, next, waits})
    EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(text_of(work() / "twice"), "");
}

TEST_F(GpuJobs, WaitForAKindThatNoNodeHasUntilOneComes) {
  const auto id = submit("rare", "B300:1", 1, "b300");
  ASSERT_TRUE(wait_until([&] { return !reason_of(id, "gpu_type").is_null(); }));
  EXPECT_FALSE(reason_of(id, "never_fits").is_null());
  const auto text = reason_of(id, "gpu_type").at("text").get<std::string>();
  EXPECT_NE(text.find("0 of that kind; of other kinds 2 A100 and 3 NVIDIA H200"), std::string::npos) << text;
  cluster_.start_node("node-3", 1, {"--gpus", "NVIDIA B300 SXM6:1"});
  EXPECT_EQ(seen_by("rare", 0), "0");
  stop("rare");
  EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.logs();
}

/// nlp has borrowed two H200 and has slots left; vision is guaranteed two GPUs, and has them back.
TEST_F(GpuJobs, GiveTheGpusBackThatAnotherTenantIsGuaranteed) {
  const auto tenants = work() / "tenants.yaml";
  std::ofstream(tenants) << "version: 1\ntenants:\n  nlp: {guaranteed: 4, guaranteed_gpus: 1}\n"
                         << "  vision: {guaranteed: 4, guaranteed_gpus: 5}\n";
  const auto applied = cluster_.submit({"tenants", "--apply", tenants.string()});
  ASSERT_EQ(applied.code, 0) << applied.err;
  EXPECT_NE(applied.err.find("tenants are guaranteed 6 GPUs together, and the nodes that are up have 5"),
            std::string::npos)
      << applied.err;
  std::ofstream(tenants) << "version: 1\ntenants:\n  nlp: {guaranteed: 4, guaranteed_gpus: 1}\n"
                         << "  vision: {guaranteed: 4, guaranteed_gpus: 2}\n";
  ASSERT_EQ(cluster_.submit({"tenants", "--apply", tenants.string()}).code, 0);
  std::vector<std::string> lent;
  for (const std::string name : {"first", "second", "third"}) {
    lent.push_back(submit(name, "H200:1", 1, "h200", "tenant: nlp\n"));
    ASSERT_FALSE(seen_by(name, 0).empty());
  }
  const auto used_by = [&](std::size_t tenant, const char* field) {
    const auto all = cluster_.json({"tenants"});
    return all.is_array() ? all.at(tenant).at(field).get<int>() : -1;
  };
  EXPECT_EQ(used_by(0, "gpus_used"), 3);
  EXPECT_EQ(used_by(0, "borrowed_gpus"), 2);
  EXPECT_EQ(used_by(0, "borrowed"), 0) << "it is within its slots";
  EXPECT_NE(cluster_.submit({"tenants"}).out.find("BORROWED GPUS"), std::string::npos);

  // A critical one need not wait until they have run for a minute.
  const auto own = submit("own", "H200:2", 1, "h200", "tenant: vision\npriority: critical\n");
  kill_head_and_start_another();  // wherever that is
  ASSERT_FALSE(seen_by("own", 0).empty());
  EXPECT_EQ(used_by(0, "gpus_used"), 1);
  EXPECT_EQ(used_by(1, "gpus_used"), 2);
  EXPECT_EQ(used_by(1, "borrowed_gpus"), 0);
  const auto more = submit("more", "H200:1", 1, "h200", "tenant: vision\npriority: critical\n");
  ASSERT_TRUE(wait_until([&] { return !reason_of(more, "no_capacity_now").is_null(); })) << cluster_.logs();
  EXPECT_EQ(used_by(0, "gpus_used"), 1) << "it would borrow";
  for (const auto* name : {"own", "more", "first", "second", "third"}) stop(name);
  for (const auto& id : lent)
    EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  for (const auto& id : {own, more})
    EXPECT_TRUE(cluster_.wait_for_state(id, "SUCCEEDED")) << cluster_.status(id) << cluster_.logs();
  EXPECT_EQ(text_of(work() / "twice"), "");
}

/// The nodes' GPUs are stated and are not there, so a replica gets one and then can't use it.
TEST_F(GpuJobs, GiveReplicasTheirGpuAndSayWhyAModelIsNotServedOnIt) {
  if (run_program({"ldd", program("ds-actor").string()}).out.find("libtorch_cuda") != std::string::npos)
    GTEST_SKIP() << "this libtorch has CUDA, and may find a GPU";
  const auto program = submit("program", "H200:2", 1, "h200");
  ASSERT_EQ(seen_by("program", 0), "0,1");
  const auto file = work() / "serve.yaml";
  std::ofstream(work() / "model.pt") << "not read before the GPU is there";
  std::ofstream(file)
      << "version: 1\nkind: serve\nname: served\nrestart: 0\nresources: {memory: 256Mi, gpu: H200}\n"
      << "model: {source: \"file:model.pt\"}\n";
  const auto id = cluster_.submit_job(file);
  ASSERT_TRUE(cluster_.wait_for_state(id, "FAILED")) << cluster_.status(id) << cluster_.logs();
  const auto reason = cluster_.status(id).at("reason").get<std::string>();
  EXPECT_NE(reason.find("device cuda:0: "), std::string::npos) << reason;
  EXPECT_NE(reason.find("CUDA"), std::string::npos) << reason;
  EXPECT_TRUE(wait_until([&] {
    const auto said = cluster_.submit({"logs", id}).out;
    return said.find("may use the GPU 2, and CUDA shows it no other") != std::string::npos;
  })) << cluster_.submit({"logs", id}).out;
  EXPECT_TRUE(wait_until([&] {
    const auto nodes = cluster_.json({"nodes"});
    return nodes.is_array() && nodes.at(0).at("gpus_used") == 2;
  })) << "its GPU is not free again: "
      << cluster_.json({"nodes"});
  stop("program");
}

TEST_F(GpuJobs, AreRefusedWhereTheyMakeNoSense) {
  const auto file = work() / "train.yaml";
  std::ofstream(file) << "version: 1\nkind: train\nresources: {gpu: 1}\nmodel: {zoo: mlp}\n";
  const auto outcome = cluster_.submit({"submit", "-f", file.string()});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.err.find("workers of kind train use no GPU in this version"), std::string::npos)
      << outcome.err;
  std::ofstream(file) << "version: 1\nkind: serve\nresources: {gpu: 2}\nmodel: {source: \"file:m.pt\"}\n";
  const auto served = cluster_.submit({"submit", "-f", file.string()});
  EXPECT_EQ(served.code, 3);
  EXPECT_NE(served.err.find("a replica runs its model on one GPU, got 2"), std::string::npos) << served.err;
  const auto node = run_program({program("ds-node").string(), "--secret-file", "x", "--gpus", "H200"});
  EXPECT_NE(node.code, 0);
  EXPECT_NE(node.err.find("--gpus: expected a kind of GPU and how many"), std::string::npos) << node.err;
}

}  // namespace
}  // namespace ds::tests
