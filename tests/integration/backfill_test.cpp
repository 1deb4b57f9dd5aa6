// What starts behind a gang that waits, on real processes and over a killed head.
#include <fstream>

#include "scheduler/spec/scalars.hpp"
#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

class Backfilling : public TwoNodes {
 protected:
  std::string submit(const std::string& name, int workers, const std::string& run,
                     const std::string& more = {}) {
    return cluster_.submit_job(write(name, workers, run, more));
  }
  std::filesystem::path write(const std::string& name, int workers, const std::string& run,
                              const std::string& more) {
    const auto folder = cluster_.path() / "work";
    std::filesystem::create_directories(folder);
    const auto file = folder / (name + ".yaml");
    std::ofstream(file) << "version: 1\nkind: command\nname: " << name
                        << "\nresources: {memory: 64Mi}\nworkers: " << workers << "\nrun: " << run << "\n"
                        << more;
    return file;
  }
  std::string first_reason(const std::string& job) const {
    const auto why = cluster_.json({"why", job});
    if (!why.is_object() || why.at("reasons").empty()) return {};
    return why.at("reasons")[0].at("code").get<std::string>() + ": " +
           why.at("reasons")[0].at("text").get<std::string>();
  }
};

TEST_F(Backfilling, AShortJobPassesTheGangThatWaitsAndALongOneDoesNot) {
  const auto running = submit("running", 3, "sleep 600", "time_limit: 10m\n");
  ASSERT_TRUE(cluster_.wait_for_state(running, "RUNNING")) << cluster_.logs();
  const auto gang = submit("gang", 4, "sleep 600");
  const auto endless = submit("endless", 1, "sleep 1");
  EXPECT_NE(first_reason(endless).find("and this job has no time_limit"), std::string::npos)
      << first_reason(endless);
  // The time_limit of what runs is over in ten minutes.
  const auto expected = cluster_.json({"why", gang}).at("expected_start");
  ASSERT_TRUE(expected.is_object() && expected.at("from").is_string() && expected.at("to").is_string())
      << expected;
  const auto started = cluster_.status(running).at("started_ms").get<std::int64_t>();
  EXPECT_GE(scheduler::parse_time_ms(expected.at("to").get<std::string>()).value(), started + 600'000)
      << expected;
  EXPECT_LE(scheduler::parse_time_ms(expected.at("to").get<std::string>()).value(), started + 900'000)
      << expected;
  EXPECT_NE(cluster_.submit({"why", gang}).out.find("starts between "), std::string::npos);
  EXPECT_TRUE(cluster_.json({"why", endless}).at("expected_start").at("to").is_null()) << "gang has no limit";
  EXPECT_TRUE(cluster_.json({"why", running}).at("expected_start").is_null());
  const auto longer = submit("longer", 1, "sleep 1", "time_limit: 20m\n");
  const auto brief = submit("brief", 1, "sleep 1", "time_limit: 2m\n");
  EXPECT_TRUE(cluster_.wait_for_state(brief, "SUCCEEDED")) << cluster_.logs();
  kill_head_and_start_another();
  EXPECT_TRUE(wait_until([&] {
    return first_reason(longer).find("may run for 1200 s") != std::string::npos;
  })) << first_reason(longer);
  EXPECT_EQ(first_reason(longer).find("priority_behind: "), 0U) << first_reason(longer);
  const auto next = submit("next", 1, "sleep 1", "time_limit: 2m\n");
  EXPECT_TRUE(cluster_.wait_for_state(next, "SUCCEEDED")) << cluster_.logs();
  for (const auto& job : {gang, endless, longer}) EXPECT_EQ(cluster_.status(job).at("state"), "QUEUED");

  EXPECT_EQ(cluster_.submit({"cancel", running}).code, 0);
  EXPECT_TRUE(cluster_.wait_for_state(gang, "RUNNING")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(endless).at("state"), "QUEUED");
  EXPECT_EQ(cluster_.submit({"cancel", gang}).code, 0);
  EXPECT_TRUE(cluster_.wait_for_state(endless, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(cluster_.wait_for_state(longer, "SUCCEEDED")) << cluster_.logs();
}

TEST_F(Backfilling, AShortJobPassesTheGangThatWaitsForOneThatTrainsForLongerByItsSteps) {
  const auto trains =
      cluster_.submit_job(write_job(cluster_.path() / "data/trains", "trains", 100'000, 1, 1));
  ASSERT_TRUE(cluster_.wait_for_state(trains, "RUNNING")) << cluster_.logs();
  const auto gang = submit("gang", 4, "sleep 600");
  const auto endless = submit("endless", 1, "sleep 1");
  const auto brief = submit("brief", 1, "sleep 1", "time_limit: 2m\n");
  EXPECT_TRUE(cluster_.wait_for_state(brief, "SUCCEEDED")) << first_reason(brief) << cluster_.logs();
  EXPECT_NE(first_reason(endless).find(gang + " is likely to have the room from about "), std::string::npos)
      << first_reason(endless);
  for (const auto& job : {gang, endless}) EXPECT_EQ(cluster_.status(job).at("state"), "QUEUED");
  EXPECT_EQ(cluster_.submit({"cancel", trains}).code, 0);
  EXPECT_TRUE(cluster_.wait_for_state(gang, "RUNNING")) << cluster_.logs();
}

}  // namespace
}  // namespace ds::tests
