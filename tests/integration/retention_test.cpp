// Jobs that have ended are forgotten after a while, and the list of jobs comes in pages.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "actors/gateway/http_server.hpp"
#include "tests/integration/two_nodes.hpp"

namespace ds::tests {
namespace {

constexpr int kNotFound = 4;

class Retention : public TwoNodes {
 protected:
  std::string submit(const std::string& name, const std::string& more = {}) {
    const auto file = write_job(cluster_.path() / "data" / name, name, 1, 1, 1);
    std::ofstream(file, std::ios::app) << more;
    return cluster_.submit_job(file);
  }
  bool is_known(const std::string& job) { return cluster_.submit({"status", job}).code != kNotFound; }
  std::set<std::string> listed() {
    std::set<std::string> ids;
    for (const auto& job : cluster_.json({"list"})) ids.insert(job.at("id").get<std::string>());
    return ids;
  }
  bool has_log_of(const std::string& job) {
    return std::filesystem::exists(cluster_.path() / "head" / "logs" / job);
  }
};

TEST_F(Retention, AJobIsForgottenWithAllThatItHasLeft) {
  const auto kept = submit("kept");
  ASSERT_TRUE(cluster_.wait_for_state(kept, "SUCCEEDED")) << cluster_.logs();
  EXPECT_TRUE(has_log_of(kept));
  const auto old = submit("old", "retention: 1s\n");
  const auto after = submit("after", "depends_on: [old]\nstart_after: 1h\n");
  ASSERT_TRUE(cluster_.wait_for_state(old, "SUCCEEDED")) << cluster_.logs();

  const auto older = submit("older", "retention: 1s\n");
  ASSERT_TRUE(wait_until([&] { return !is_known(older); })) << cluster_.logs();
  EXPECT_TRUE(wait_until([&] { return !has_log_of(older); }));
  EXPECT_EQ(listed(), (std::set{kept, old, after})) << "another waits that depends on it";
  kill_head_and_start_another();
  // It hears of it again only if the head died before it was certain, and then once more of its end.
  EXPECT_TRUE(wait_until([&] { return !is_known(older); }));
  EXPECT_EQ(listed(), (std::set{kept, old, after}));
  const auto again = submit("older");
  EXPECT_TRUE(cluster_.wait_for_state(again, "SUCCEEDED")) << cluster_.logs();
  EXPECT_EQ(cluster_.submit({"cancel", after}).code, 0);
  EXPECT_TRUE(wait_until([&] { return !is_known(old); }));
}

TEST_F(Retention, TheListOfJobsComesInPages) {
  std::set<std::string> jobs;
  for (const std::string name : {"a", "b", "c"}) jobs.insert(submit(name, "start_after: 1d\n"));
  std::set<std::string> seen;
  std::string after;
  for (int pages = 1; pages <= 3; ++pages) {
    const auto answer = gateway::http_get(cluster_.address(), "/api/v1/jobs?limit=1&after=" + after,
                                          std::chrono::seconds(60));
    ASSERT_TRUE(answer) << answer.error().message;
    const auto page = nlohmann::json::parse(answer->body);
    ASSERT_EQ(page.size(), 1U) << page;
    seen.insert(page[0].at("id").get<std::string>());
    const auto next =
        std::ranges::find(answer->headers, "DS-Next", &std::pair<std::string, std::string>::first);
    ASSERT_EQ(next != answer->headers.end(), pages < 3) << page;
    if (next != answer->headers.end()) after = next->second;
  }
  EXPECT_EQ(seen, jobs);
  EXPECT_EQ(listed(), jobs);
}

}  // namespace
}  // namespace ds::tests
