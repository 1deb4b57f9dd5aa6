#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "scheduler/simulator/command.hpp"
#include "tests/unit/scheduler/simulator_profile.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::simulator {
namespace {

class SimulatorCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    write_small_profiles(folder_.path() / "profiles");
    write("jobs.csv",
          "name,time,application,num_replicas,batch_size\nfirst,0,bert,1,10\nsecond,60,bert,2,20\n");
    command_.profiles = (folder_.path() / "profiles").string();
    command_.workload = at("jobs.csv");
    command_.policy = "fifo";
    command_.cluster = "2x2";
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(at(name)) << text; }
  std::string refusal() const {
    const auto text = run(command_);
    return text ? "accepted: " + *text : text.error().text;
  }

  TemporaryFolder folder_;
  Command command_;
};

TEST_F(SimulatorCommand, PrintsOneObjectOrATable) {
  command_.as_json = true;
  const auto json = run(command_);
  ASSERT_TRUE(json) << json.error().text;
  const auto report = nlohmann::json::parse(*json);
  EXPECT_EQ(report.at("jobs"), 2);
  EXPECT_EQ(report.at("average_jct_s"), 285);  // 290, and 280 from 60 to 340
  command_.as_json = false;
  const auto table = run(command_);
  ASSERT_TRUE(table) << table.error().text;
  EXPECT_NE(table->find("average_jct_s"), std::string::npos) << *table;
}

TEST_F(SimulatorCommand, GivesTheSameAnswerTwice) {
  command_.as_json = true;
  for (const char* policy : {"ds", "drf", "fifo", "optimus", "tiresias"}) {
    command_.policy = policy;
    const auto first = run(command_);
    const auto second = run(command_);
    ASSERT_TRUE(first) << first.error().text;
    EXPECT_EQ(*first, *second) << policy;
  }
}

TEST_F(SimulatorCommand, ListsThePolicies) {
  command_ = {};
  command_.lists_policies = true;
  const auto text = run(command_);
  ASSERT_TRUE(text);
  for (const char* policy : {"ds ", "drf ", "fifo ", "optimus ", "tiresias "})
    EXPECT_NE(text->find(policy), std::string::npos) << policy;
}

TEST_F(SimulatorCommand, AMissingFileIsNamed) {
  command_.workload = at("none.csv");
  EXPECT_EQ(refusal(), at("none.csv") + ": there is no such file");
  command_.profiles = at("nowhere");
  EXPECT_EQ(refusal(), at("nowhere") + ": there is no such folder of profiles");
}

TEST_F(SimulatorCommand, AWrongCellIsNamedByItsPlace) {
  write("jobs.csv",
        "name,time,application,num_replicas,batch_size\nfirst,0,bert,1,10\nsecond,6o,bert,2,20\n");
  EXPECT_EQ(refusal(), at("jobs.csv") + ":3:8: time: expected a number, got \"6o\"");
  write("jobs.csv", "name,time,application,num_replicas,batch_size\nfirst,0,bert,0.5,10\n");
  EXPECT_EQ(refusal(), at("jobs.csv") + ":2:14: num_replicas: expected a whole number from 1, got \"0.5\"");
  write("jobs.csv", "name,time,application,num_replicas,batch_size\nfirst,nan,bert,1,10\n");
  EXPECT_EQ(refusal(), at("jobs.csv") + ":2:7: time: expected a number, got \"nan\"");
  write("jobs.csv", "name,time,application,num_replicas,batch_size\nfirst,0,bert,1\n");
  EXPECT_EQ(refusal(), at("jobs.csv") + ":2:1: expected 5 fields as in the header, got 4");
  write("jobs.csv", "name,time,application,batch_size\nfirst,0,bert,1\n");
  EXPECT_EQ(
      refusal(),
      at("jobs.csv") +
          ":1:1: expected a column \"num_replicas\", the header is \"name,time,application,batch_size\"");
  write("jobs.csv", "name,time,application,num_replicas,batch_size\nfirst,0,gpt,1,10\n");
  EXPECT_EQ(refusal(), at("jobs.csv") + ":2:9: application: there is no profile of \"gpt\", only of bert");
  write("jobs.csv", "name,time,application,num_replicas,batch_size\n");
  EXPECT_EQ(refusal(), at("jobs.csv") + ": has no rows");
}

TEST_F(SimulatorCommand, AWrongProfileIsNamedByItsPlace) {
  write("profiles/bert/placements.csv", "placement,local_bsz,step_time,sync_time\n1,10,1,0\n1x,10,1,0\n");
  EXPECT_EQ(refusal(), at("profiles/bert/placements.csv") +
                           ":3:1: placement: expected a digit a node, 1 to 9, got \"1x\"");
  write("profiles/bert/placements.csv", "placement,local_bsz,step_time,sync_time\n1,10,-1,0\n");
  EXPECT_EQ(refusal(),
            at("profiles/bert/placements.csv") + ":2:6: step_time: expected a number above 0, got \"-1\"");
}

TEST_F(SimulatorCommand, AWrongArgumentIsRefusedWithWhatIsRight) {
  command_.cluster = "16y4";
  EXPECT_EQ(
      refusal(),
      "--cluster: expected nodes x slots of each, such as 16x4 (at most 65536x64), or with kinds of GPU "
      "6x4:aws+3x8:rtx (at most 16), got \"16y4\"");
  for (const char* wrong : {"", "x", "0x4", "4x", "x4", "-1x4", "4x65", "99999x4", "4x4x4"}) {
    command_.cluster = wrong;
    EXPECT_NE(refusal().find("--cluster: expected"), std::string::npos) << wrong;
  }
  command_.cluster = "2x2";
  command_.policy = "tiresia";
  EXPECT_EQ(refusal(),
            "--policy: there is no policy \"tiresia\", did you mean \"tiresias\"?; there are ds, ds_alone, "
            "fifo, live, "
            "live_least_attained, drf, "
            "tiresias, edf, tiresias_queues, gandiva, optimus");
  command_.policy = "fifo";
  command_.family = "gavel";
  EXPECT_EQ(refusal(),
            "--family: expected one of pollux, sia, elasticflow, shockwave, philly, openb, got \"gavel\"");
  command_.family = "pollux";
  command_.round_s = 0;
  EXPECT_EQ(refusal(), "--round: expected 1 to 86400 seconds, got 0");
  command_.round_s = 60;
  command_.seed = 1;
  EXPECT_EQ(refusal(), "--seed: does not apply to --family pollux");
  command_.seed.reset();
  command_.heeds_events = true;
  command_.policy = "live";
  EXPECT_EQ(refusal(), "--events: --policy live has moments of its own to plan at");
}

TEST_F(SimulatorCommand, TheProgramEndsWithTwoOnWrongInput) {
  const auto exit_code = [&](const std::string& arguments) {
    const std::string line =
        std::string(DS_SIM_PROGRAM) + " " + arguments + " >" + at("out") + " 2>" + at("err");
    const int status = std::system(line.c_str());  // NOLINT(cert-env33-c): a fixed line of our own
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  const std::string good =
      "--profiles " + command_.profiles + " --workload " + command_.workload + " --cluster 2x2";
  EXPECT_EQ(exit_code(good + " --json"), 0);
  EXPECT_EQ(exit_code("--list-policies"), 0);
  EXPECT_EQ(exit_code(good + " --policy nobody"), 2);
  EXPECT_EQ(exit_code(good + " --cluster 16y4"), 2);
  EXPECT_EQ(exit_code(good + " --colour red"), 2);
  EXPECT_EQ(exit_code(good + " --round soon"), 2);
}

}  // namespace
}  // namespace ds::simulator
