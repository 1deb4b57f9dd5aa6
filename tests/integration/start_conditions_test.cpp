// Jobs that begin later, or after others, over a killed head.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "scheduler/spec/scalars.hpp"
#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

class StartConditions : public TwoNodes {
 protected:
  std::filesystem::path write(const std::string& name, int epochs, const std::string& more = {}) {
    const auto file = write_job(cluster_.path() / "data" / name, name, epochs, 1, 1);
    std::ofstream(file, std::ios::app) << more;
    return file;
  }
};

TEST_F(StartConditions, AJobBeginsNoEarlierThanItMay) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const auto later = cluster_.submit_job(write("later", 1, "start_after: 12s\n"));
  const auto timed =
      cluster_.submit_job(write("timed", 1, "start_after: " + scheduler::to_time_text(now + 12'000) + "\n"));
  EXPECT_EQ(codes_of(later), "begin_time ");
  EXPECT_EQ(codes_of(timed), "begin_time ");
  const auto status = cluster_.status(later);
  EXPECT_EQ(status.at("state"), "QUEUED");
  EXPECT_EQ(status.at("begins_ms"), status.at("submitted_ms").get<std::int64_t>() + 12'000);
  // Who follows it is told again whenever that changes, which it must not by the second.
  const auto begins = "starts at " + scheduler::to_time_text(status.at("begins_ms")) + " at the earliest";
  EXPECT_EQ(status.at("reason"), begins);
  const auto why = cluster_.json({"why", later});
  EXPECT_TRUE(why.at("reasons")[0].at("text").get<std::string>().starts_with(begins + ", in ")) << why;
  kill_head_and_start_another();
  for (const auto& job : {later, timed}) {
    EXPECT_TRUE(cluster_.wait_for_state(job, "SUCCEEDED")) << cluster_.logs();
    const auto ended = cluster_.status(job);
    EXPECT_GE(ended.at("started_ms"), ended.at("begins_ms")) << ended;
  }
}

TEST_F(StartConditions, AJobBeginsWhenAllThatItDependsOnHaveSucceeded) {
  const auto first = cluster_.submit_job(write("first", 8));
  const auto second = cluster_.submit_job(write("second", 2, "depends_on: first\n"));
  const auto third = cluster_.submit_job(write("third", 1, "depends_on: [" + first + ", second]\n"));
  EXPECT_EQ(codes_of(second), "dependency ");
  const auto why = cluster_.json({"why", third});
  ASSERT_TRUE(why.is_object());
  EXPECT_EQ(why.at("reasons")[0].at("blocking"), (nlohmann::json{first, second})) << why;
  kill_head_and_start_another();
  EXPECT_TRUE(cluster_.wait_for_state(third, "SUCCEEDED")) << cluster_.logs();
  EXPECT_GE(cluster_.status(second).at("started_ms"), cluster_.status(first).at("ended_ms"));
  EXPECT_GE(cluster_.status(third).at("started_ms"), cluster_.status(second).at("ended_ms"));
}

TEST_F(StartConditions, AJobIsCancelledWhenOneThatItDependsOnWas) {
  const auto first = cluster_.submit_job(write("first", 200));
  const auto second = cluster_.submit_job(write("second", 1, "depends_on: [first]\n"));
  const auto third = cluster_.submit_job(write("third", 1, "depends_on: [second]\n"));
  EXPECT_EQ(cluster_.submit({"cancel", first}).code, 0);
  kill_head_and_start_another();
  ASSERT_TRUE(cluster_.wait_for_state(third, "CANCELLED")) << cluster_.logs();
  EXPECT_EQ(cluster_.status(second).at("state"), "CANCELLED");
  EXPECT_EQ(cluster_.status(second).at("reason"), "job " + first + ", which it depends on, was cancelled");
  EXPECT_EQ(cluster_.status(third).at("reason"), "job " + second + ", which it depends on, was cancelled");
  EXPECT_TRUE(cluster_.status(second).at("started_ms").is_null());
}

TEST_F(StartConditions, AJobThatDependsOnNoneThatThereIsIsRefusedWithItsPlace) {
  const auto file = write("lost", 1, "depends_on: [nobody]\n");
  std::ifstream text(file);
  int lines = 0;
  for (std::string line; std::getline(text, line);) ++lines;
  const auto refused = cluster_.submit({"submit", "-f", file.string()});
  EXPECT_EQ(refused.code, 3) << refused.err;
  EXPECT_NE(refused.err.find("there is no job \"nobody\""), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find(":" + std::to_string(lines) + ":14"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace ds::tests
