#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/scheduler/family_test.hpp"
#include "tests/unit/scheduler/simulator_profile.hpp"

namespace ds::simulator {
namespace {

constexpr const char* kPolluxFields = "name,time,application,num_replicas,batch_size\n";
constexpr const char* kPhillyFields = "timestamp,duration,num_gpus\n";

class SimulatorInput : public FamilyTest {
 protected:
  void SetUp() override {
    write_small_profiles(folder_.path() / "profiles");
    command_.profiles = at("profiles");
    command_.workload = at("jobs");
    command_.policy = "fifo";
    command_.cluster = "2x2";
    command_.as_json = true;
    command_.warn = [this](const std::string& text) { warnings_.push_back(text); };
  }

  void write_jobs(const std::string& lines) const { write("jobs", kPolluxFields + lines); }
  void use_philly(const std::string& lines) {
    command_.family = "philly";
    command_.profiles.clear();
    write("jobs", kPhillyFields + lines);
  }
  /// What the program ends with, what it says in the file `err`.
  int exit_code(const std::string& arguments) const {
    const std::string line = std::string(DS_SIM_PROGRAM) + " " + arguments + " 2>" + at("err");
    const int status = std::system(line.c_str());  // NOLINT(cert-env33-c): a fixed line of our own
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string errors() const {
    std::ifstream stream(at("err"));
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  std::vector<std::string> warnings_;
};

TEST_F(SimulatorInput, MoreSlotsOrSamplesThanTheApplicationsLargestBatchAreRefusedByTheirPlace) {
  write_jobs("a,0,bert,2000000000,10\n");
  EXPECT_EQ(refusal(), at("jobs") +
                           ":2:10: num_replicas: expected 1 to 40, as no batch of bert has more samples, got "
                           "2000000000");
  for (const char* batch : {"0.5", "41", "1e300"}) {
    write_jobs(std::string("a,0,bert,1,") + batch + "\n");
    EXPECT_EQ(
        refusal(),
        at("jobs") + ":2:12: batch_size: expected 1 to 40 samples, the largest batch of bert, got " + batch);
  }
  write_jobs("a,0,bert,40,40\n");
  command_.policy = "drf";
  EXPECT_EQ(report().at("jobs"), 1);
}

TEST_F(SimulatorInput, JobsThatAskForAsManySlotsAsTheyMayTakeNoTime) {
  std::filesystem::copy(at("profiles/bert/validation-40.csv"), at("profiles/bert/validation-32768.csv"));
  std::string jobs;
  for (int job = 0; job < 300; ++job) jobs += std::to_string(job) + ",0,bert,32768,32768\n";
  write_jobs(jobs);
  command_.policy = "ds";
  const auto from = std::chrono::steady_clock::now();
  EXPECT_EQ(report().at("jobs"), 300);
  EXPECT_LT(std::chrono::steady_clock::now() - from,
            std::chrono::seconds(20));  // 1 s; by all rotations 80
}

TEST_F(SimulatorInput, APlacementOnMoreNodesThanATableMayNameIsRefused) {
  write_jobs("a,0,bert,1,10\n");
  write("profiles/bert/placements.csv",
        "placement,local_bsz,step_time,sync_time\n" + std::string(65, '1') + ",5,1,0\n");
  EXPECT_EQ(refusal(),
            at("profiles/bert/placements.csv") + ":2:1: placement: expected at most 64 nodes, got 65");
}

TEST_F(SimulatorInput, TimesBeforeTheStartOrTenYearsLaterAreRefused) {
  for (const char* time : {"-1", "315360001", "1e300"}) {
    write_jobs(std::string("a,") + time + ",bert,1,10\n");
    EXPECT_EQ(refusal(), at("jobs") + ":2:3: time: expected seconds from 0 to 315360000 (ten years), got \"" +
                             time + "\"");
  }
  use_philly("2017-10-01 00:00:00,60,1\n2017-10-01 00:00:00,60,1\n2028-10-01 00:00:00,60,1\n");
  EXPECT_EQ(refusal(), at("jobs") +
                           ":4:1: timestamp: expected ten years after the first one at most, got 2028-10-01 "
                           "00:00:00");
}

TEST_F(SimulatorInput, ElasticFlowsTimesCountFromTheFirstAndItsStepsAreSaidToHaveABound) {
  constexpr const char* kFields = "job_id,submit_time,iteration,model_name,ddl,batch_size,num_gpu,duration\n";
  std::filesystem::create_directory(at("rates"));
  write("rates/bert.csv", "global_batch_size,1,2,4,8,16,32,64\n8,1,1.5,nan,nan,nan,nan,nan\n");
  command_.family = "elasticflow";
  command_.profiles = at("rates");
  write("jobs", std::string(kFields) + "a,0,2147483649,bert,100,8,1,10\n");
  EXPECT_EQ(refusal(),
            at("jobs") + ":2:5: iteration: expected a whole number up to 2147483648, got \"2147483649\"");
  write("jobs", std::string(kFields) + "a,1e9,10,bert,2e9,8,1,10\n");
  EXPECT_EQ(refusal(),
            at("jobs") + ":2:15: ddl: expected ten years after the first submission at most, got 2e9");
  write("jobs", std::string(kFields) + "a,-1,10,bert,9,8,1,10\n");
  EXPECT_EQ(refusal(), at("jobs") + ":2:3: submit_time: expected a number from 0, got \"-1\"");
  write("jobs", std::string(kFields) + "a,1000000000,10,bert,1000000100,8,1,10\n");
  EXPECT_EQ(report().at("jobs"), 1);
}

TEST_F(SimulatorInput, AColumnThatIsThereTwiceIsRefused) {
  write("jobs", "name,time,application,num_replicas,batch_size,time\na,0,bert,1,10,5\n");
  EXPECT_EQ(refusal(), at("jobs") + ":1:47: the column \"time\" is there a second time");
}

TEST_F(SimulatorInput, ATraceMayHaveMonthsBetweenItsJobs) {
  use_philly("2016-01-01 00:00:00,60,1\n2017-10-01 00:00:30,90,1\n");
  command_.restart_s = 0;
  for (const char* policy : {"fifo", "ds", "live"}) {
    command_.policy = policy;
    const auto result = report();
    EXPECT_EQ(result.at("average_jct_s"), command_.policy == "live" ? 75 : 120) << policy;  // seen at a round
    EXPECT_GT(result.at("makespan_s"), 600 * 86400.0) << policy;
  }
}

TEST_F(SimulatorInput, AJobThatNeverFitsIsRefusedByItsLineAtOnce) {
  write_jobs("small,0,bert,1,10\nlarge,5,bert,6,12\nlater,9,bert,5,10\n");
  for (const char* policy : {"fifo", "tiresias", "tiresias_queues", "gandiva"}) {
    command_.policy = policy;
    EXPECT_EQ(refusal(),
              at("jobs") +
                  ":3:14: large needs 6 slots and could never start: the cluster has 4 (and 1 more like "
                  "it); name a larger --cluster, or leave them out");
  }
  for (const char* policy : {"ds", "drf", "optimus", "live"}) {  // elastic there
    command_.policy = policy;
    EXPECT_EQ(report().at("jobs"), 3) << policy;
  }
  use_philly("2017-10-01 00:00:00,60,5\n");
  for (const char* policy : {"fifo", "ds", "live"}) {
    command_.policy = policy;
    EXPECT_EQ(refusal(),
              at("jobs") +
                  ":2:24: line 2 needs 5 slots and could never start: the cluster has 4; name a larger "
                  "--cluster, or leave it out");
  }
}

TEST_F(SimulatorInput, ARigidJobThatTakesLongerThanASimulationGoesOnIsRefusedByItsLine) {
  use_philly("2017-10-01 00:00:00,60,1\n2017-10-01 00:00:00,86400000,1\n");
  EXPECT_EQ(refusal(), at("jobs") + ":3:1: line 3 takes 1000 days, and after 400 no simulation goes on");
}

TEST_F(SimulatorInput, AResultThatCannotBeWrittenIsAnError) {
  write_jobs("a,0,bert,1,10\n");
  const std::string good =
      "--profiles " + command_.profiles + " --workload " + command_.workload + " --cluster 2x2";
  for (const std::string& arguments :
       {good + " --json", good, std::string("--list-policies"), std::string("--help")}) {
    EXPECT_EQ(exit_code(arguments + " >/dev/full"), 1) << arguments;
    EXPECT_EQ(errors(), "ds-sim: the result cannot be written: No space left on device\n") << arguments;
  }
  EXPECT_EQ(exit_code(good + " --plot /dev/full >" + at("out")), 2);
  EXPECT_EQ(errors(), "ds-sim: --plot: /dev/full cannot be written\n");
}

TEST_F(SimulatorInput, APipeIsReadAndWhatHasNothingInItIsSaidToBeEmpty) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  command_.workload = at("pipe");
  std::thread writer([&] { std::ofstream(at("pipe")) << kPolluxFields << "a,0,bert,1,10\n"; });
  EXPECT_EQ(report().at("jobs"), 1);
  writer.join();
  command_.workload = "/dev/null";
  EXPECT_EQ(refusal(), "/dev/null: is empty");
  command_.workload = folder_.path().string();
  EXPECT_EQ(refusal(), folder_.path().string() + ": is a folder, not a file");
  command_.workload = "/dev/zero";
  EXPECT_EQ(refusal(), "/dev/zero: is larger than 64 MiB");
}

TEST_F(SimulatorInput, NamesThatNoSvgFileCouldHoldAreRefusedByTheirPlace) {
  for (const auto& [name, shown] : {std::pair{"a\xFF", "a\\xff"}, std::pair{"\x01z", "\\x01z"},
                                    std::pair{"a\xEF\xBF\xBE", "a\xEF\xBF\xBE"}}) {
    write_jobs(std::string("fine\xC3\xA4,0,bert,1,10\n") + name + ",0,bert,1,10\n");
    EXPECT_EQ(refusal(),
              at("jobs") + ":3:1: name: expected UTF-8 without control characters, got \"" + shown + "\"");
  }
}

TEST_F(SimulatorInput, NodesLargerThanAnyMeasuredAreWarnedOf) {
  write_jobs("a,0,bert,2,10\n");
  command_.cluster = "4x3";  // as `scalability.csv` has
  report();
  EXPECT_EQ(warnings_, std::vector<std::string>{});
  command_.cluster = "1x64";
  report();
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_EQ(
      warnings_[0],
      "--cluster: nodes have 64 slots, and steps were measured with 3 of a node at most: more on one take as "
      "long as the measured placement with the nearest number of nodes, and of those the nearest number of "
      "slots");
}

TEST_F(SimulatorInput, ProfilesThatAFamilyDoesNotNeedAreSaidNotToBeRead) {
  use_philly("2017-10-01 00:00:00,60,1\n");
  command_.profiles = "nowhere";
  EXPECT_EQ(report().at("jobs"), 1);
  EXPECT_EQ(warnings_,
            std::vector<std::string>{"--profiles: not read: the jobs of --family philly need none"});
}

}  // namespace
}  // namespace ds::simulator
