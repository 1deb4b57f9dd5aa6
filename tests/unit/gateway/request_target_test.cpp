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

TEST(RequestTarget, LosesTheHostThatProxiesSend) {
  EXPECT_EQ(to_origin_form("http://host:80/v2/models?b=c"), "/v2/models?b=c");
  EXPECT_EQ(to_origin_form("http://host"), "/");
  EXPECT_EQ(to_origin_form("/v2/http://host"), "/v2/http://host");
}

TEST(RequestTarget, IsFoundInARequestLineThatIsWrongOrCutOff) {
  EXPECT_EQ(target_in("POST /v2/models HTTP/9.9\r\nHost: x"), "/v2/models");
  EXPECT_EQ(target_in("GET   /v2"), "/v2");
  EXPECT_EQ(target_in("GET /v2\nX: /other HTTP/1.1"), "/v2");
  for (const char* none : {"", "GET", "GET ", "GET\r\n /v2"}) EXPECT_EQ(target_in(none), "") << none;
}

TEST(RequestTarget, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* bad : {"", "*", "jobs", "/%", "/%4", "/%g0", "/%00", "/?a=%0", "/?a=1&a=1"}) {
    EXPECT_FALSE(parse_request_target(bad)) << bad;
  }
}

}  // namespace
}  // namespace ds::gateway
