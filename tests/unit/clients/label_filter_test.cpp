#include "clients/label_filter.hpp"

#include <gtest/gtest.h>

#include "clients/failure.hpp"

namespace ds::clients {
namespace {

TEST(LabelFilter, AsksForEachLabelByItsName) {
  EXPECT_EQ(path_of_jobs({}), "/api/v1/jobs");
  EXPECT_EQ(path_of_jobs({"team=search"}), "/api/v1/jobs?label.team=search");
  EXPECT_EQ(path_of_jobs({"team=search", "stage="}), "/api/v1/jobs?label.team=search&label.stage=");
  EXPECT_EQ(path_of_jobs({"a=b=c &d"}), "/api/v1/jobs?label.a=b%3Dc%20%26d");
}

TEST(LabelFilter, RefusesWhatIsNoLabel) {
  for (const char* wrong : {"team", "=search", ""}) {
    EXPECT_THROW(
        {
          try {
            path_of_jobs({wrong});
          } catch (const Failure& failure) {
            EXPECT_EQ(failure.exit_code, ExitCode::usage);
            EXPECT_NE(failure.message.find("expected KEY=VALUE"), std::string::npos) << failure.message;
            throw;
          }
        },
        Failure);
  }
  EXPECT_THROW(path_of_jobs({"a=1", "a=2"}), Failure);
}

}  // namespace
}  // namespace ds::clients
