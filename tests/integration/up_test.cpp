// `ds-submit up` when something of the cluster is there already, and whose the jobs of a cluster with tenants
// are.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <set>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

class Up : public ::testing::Test {
 protected:
  Outcome ds_submit(std::vector<std::string> arguments, const std::string& tenant = "") {
    arguments.insert(arguments.begin(), program("ds-submit").string());
    return run_program(
        arguments, {{"DS_HEAD", ""}, {"DS_HOME", home().string()}, {"DS_TENANT", tenant}, {"NO_COLOR", "1"}});
  }
  nlohmann::json json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    const auto said = ds_submit(arguments);
    return nlohmann::json::parse(said.out, nullptr, false);
  }
  std::filesystem::path home() { return folder_.path() / "home"; }
  int pid_of(const std::string& member) {
    int pid = 0;
    std::ifstream(home() / "run" / (member + ".pid")) >> pid;
    return pid;
  }
  void TearDown() override { ds_submit({"down", "--purge"}); }

  TemporaryFolder folder_;
};

TEST_F(Up, WithTenantsRunsProgramsAndJobFilesOfWhomTheUserSays) {
  std::ofstream(folder_.path() / "tenants.yaml")
      << "tenants: {nlp: {guaranteed: 1}, vision: {guaranteed: 1}}\n";
  std::ofstream(folder_.path() / "job.yaml") << "version: 1\nkind: command\nname: file\nrun: [\"true\"]\n";
  std::ofstream(folder_.path() / "own.yaml")
      << "version: 1\nkind: command\nname: own\ntenant: vision\nrun: [\"true\"]\n";
  const auto path = [&](const char* name) { return (folder_.path() / name).string(); };
  ASSERT_EQ(ds_submit({"up", "--nodes", "1", "--slots", "2", "--tenants", path("tenants.yaml")}).code, 0);

  const auto lost = ds_submit({"--", "true"});
  EXPECT_EQ(lost.code, 3) << lost.err;
  EXPECT_NE(lost.err.find("--tenant"), std::string::npos) << lost.err;
  const auto unknown = ds_submit({"submit", "--tenant", "nobody", "-f", path("own.yaml")});
  EXPECT_EQ(unknown.code, 3) << unknown.err;
  EXPECT_NE(unknown.err.find("own.yaml: tenant: there is no tenant \"nobody\""), std::string::npos)
      << unknown.err;
  const auto misspelt = ds_submit({"submit", "-f", path("job.yaml")}, "No name");
  EXPECT_EQ(misspelt.code, 2) << misspelt.err;
  EXPECT_NE(misspelt.err.find("DS_TENANT"), std::string::npos) << misspelt.err;

  EXPECT_EQ(ds_submit({"--", "true"}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"--tenant", "vision", "--", "true"}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"run", "-f", path("job.yaml")}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"run", "-f", path("own.yaml")}, "nlp").code, 0);
  EXPECT_EQ(ds_submit({"run", "--tenant", "nlp", "-f", path("own.yaml")}).code, 0);
  const auto jobs = json({"list"});
  ASSERT_TRUE(jobs.is_array());
  std::multiset<std::string> found;
  for (const auto& job : jobs)
    found.insert(job.at("name").get<std::string>() + " " + job.at("tenant").get<std::string>());
  EXPECT_EQ(found,
            (std::multiset<std::string>{"true nlp", "true vision", "file nlp", "own vision", "own nlp"}));

  const auto plan = json({"plan", "--tenant", "vision", "-f", path("job.yaml")});
  ASSERT_TRUE(plan.is_object());
  EXPECT_EQ(plan.at("spec").at("tenant"), "vision");
}

}  // namespace
}  // namespace ds::tests
