#include "actors/gateway/request_target.hpp"

#include <gtest/gtest.h>

namespace ds::gateway {
namespace {

TEST(RequestTarget, TakesPathAndQueryApart) {
  const auto target = parse_request_target("/jobs/a%2Fb+c?limit=10&flag&name=x%20y+z&empty=#part");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/jobs/a/b+c");
  const std::map<std::string, std::string> expected{
      {"limit", "10"}, {"flag", ""}, {"name", "x y z"}, {"empty", ""}};
  EXPECT_EQ(target->query, expected);
}

TEST(RequestTarget, TakesTheFormThatProxiesSend) {
  EXPECT_EQ(parse_request_target("http://host:80/a?b=c")->path, "/a");
  EXPECT_FALSE(parse_request_target("http://host?b=c"));
  EXPECT_EQ(parse_request_target("http://host")->path, "/");
}

TEST(RequestTarget, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* bad : {"", "*", "jobs", "/%", "/%4", "/%g0", "/%00", "/?a=%0", "/?a=1&a=1"}) {
    EXPECT_FALSE(parse_request_target(bad)) << bad;
  }
}

}  // namespace
}  // namespace ds::gateway
