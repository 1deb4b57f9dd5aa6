#include "clients/job_filter.hpp"

#include <gtest/gtest.h>

#include "clients/failure.hpp"

namespace ds::clients {
namespace {

TEST(JobFilter, AsksForEachLabelByItsName) {
  EXPECT_EQ(path_of_jobs({}), "/api/v1/jobs");
  EXPECT_EQ(path_of_jobs({.labels = {"team=search"}}), "/api/v1/jobs?label.team=search");
  EXPECT_EQ(path_of_jobs({.labels = {"team=search", "stage="}}),
            "/api/v1/jobs?label.team=search&label.stage=");
  EXPECT_EQ(path_of_jobs({.labels = {"a=b=c &d"}}), "/api/v1/jobs?label.a=b%3Dc%20%26d");
}

TEST(JobFilter, AsksForStatesATenantAndJobsThatHaveNotEnded) {
  EXPECT_EQ(path_of_jobs({.states = {"QUEUED", "RUNNING"}}), "/api/v1/jobs?state=QUEUED%2CRUNNING");
  EXPECT_EQ(path_of_jobs({.labels = {"team=search"}, .tenant = "nlp", .active = true}),
            "/api/v1/jobs?label.team=search&tenant=nlp&active=true");
  EXPECT_TRUE(JobFilter{}.takes_all());
  EXPECT_FALSE(JobFilter{.active = true}.takes_all());
}

TEST(JobFilter, RefusesWhatIsNoLabel) {
  for (const char* wrong : {"team", "=search", ""}) {
    EXPECT_THROW(
        {
          try {
            path_of_jobs({.labels = {wrong}});
          } catch (const Failure& failure) {
            EXPECT_EQ(failure.exit_code, ExitCode::usage);
            EXPECT_NE(failure.message.find("expected KEY=VALUE"), std::string::npos) << failure.message;
            throw;
          }
        },
        Failure);
  }
  EXPECT_THROW(path_of_jobs({.labels = {"a=1", "a=2"}}), Failure);
}

}  // namespace
}  // namespace ds::clients
