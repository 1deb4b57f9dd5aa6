#include "actors/serving/routes.hpp"

#include <gtest/gtest.h>

namespace ds::serving {
namespace {

void expect_route(std::string_view method, std::string_view path, const Route& wanted) {
  const auto parsed = parse_route(method, path);
  ASSERT_TRUE(parsed) << path << ": " << parsed.error().message;
  EXPECT_EQ(*parsed, wanted) << path;
}

int status_of(std::string_view method, std::string_view path) {
  const auto parsed = parse_route(method, path);
  return parsed ? 200 : parsed.error().status;
}

TEST(Routes, OfTheProtocolAreUnderstood) {
  expect_route("GET", "/v2", route::ServerMetadata{});
  expect_route("GET", "/v2/", route::ServerMetadata{});
  expect_route("GET", "/v2/health/live", route::ServerLive{});
  expect_route("GET", "/v2/health/ready", route::ServerReady{});
  expect_route("GET", "/v2/models/m", route::ModelMetadata{{"m", std::nullopt}});
  expect_route("GET", "/v2/models/m/versions/3", route::ModelMetadata{{"m", 3}});
  expect_route("GET", "/v2/models/m/ready", route::ModelReady{{"m", std::nullopt}});
  expect_route("HEAD", "/v2/models/m/versions/3/ready", route::ModelReady{{"m", 3}});
  expect_route("GET", "/v2/models/m/config", route::ModelConfig{{"m", std::nullopt}});
  expect_route("GET", "/v2/models/stats", route::Statistics{});
  expect_route("GET", "/v2/models/m/stats", route::Statistics{ModelName{"m", std::nullopt}});
  expect_route("GET", "/v2/models/m/versions/1/stats", route::Statistics{ModelName{"m", 1}});
  expect_route("POST", "/v2/models/m/infer", route::Infer{{"m", std::nullopt}});
  expect_route("POST", "/v2/models/m/versions/18446744073709551615/infer",
               route::Infer{{"m", ~std::uint64_t{0}}});
  expect_route("POST", "/v2/repository/index", route::RepositoryIndex{});
  expect_route("POST", "/v2/repository/models/m/load", route::LoadModel{"m"});
  expect_route("POST", "/v2/repository/models/m/unload", route::UnloadModel{"m"});
  expect_route("GET", "/metrics", route::Metrics{});
}

TEST(Routes, DecodeNamesAndIgnoreQueries) {
  expect_route("GET", "/v2/models/a%2Fb%20c%c3%A9?x=/y", route::ModelMetadata{{"a/b cé", std::nullopt}});
  expect_route("POST", "/v2/models/versions/infer", route::Infer{{"versions", std::nullopt}});
  expect_route("POST", "/v2/models/stats/infer", route::Infer{{"stats", std::nullopt}});
  expect_route("GET", "/v2/models/%73tats/ready", route::ModelReady{{"stats", std::nullopt}});
}

TEST(Routes, RefuseNamesAndVersionsThatAreNone) {
  for (const char* path :
       {"/v2/models/%zz", "/v2/models/a%2", "/v2/models/a%", "/v2/models/%00", "/v2/models/a%0ab",
        "/v2/models/", "/v2/models//ready", "/v2/models/m/versions/abc", "/v2/models/m/versions/0",
        "/v2/models/m/versions/-1", "/v2/models/m/versions/", "/v2/models/m/versions/1.5",
        "/v2/models/m/versions/18446744073709551616"})
    EXPECT_EQ(status_of("GET", path), 400) << path;
  EXPECT_EQ(status_of("GET", "/v2/models/" + std::string(256, 'a')), 200);
  EXPECT_EQ(status_of("GET", "/v2/models/" + std::string(257, 'a')), 400);
}

TEST(Routes, ThatAreNoneAreNotFound) {
  for (const char* path : {"",
                           "/",
                           "v2",
                           "/v1/models/m",
                           "/v2x",
                           "/v2/health",
                           "/v2/health/alive",
                           "/v2/health/live/",
                           "/v2/models",
                           "/v2/models/m/versions",
                           "/v2/models/m/",
                           "/v2/models/m/explain",
                           "/v2/models/m/ready/x",
                           "/v2/models/m/versions/1/2",
                           "/v2/repository",
                           "/v2/repository/index/x",
                           "/v2/repository/models/m",
                           "/v2/repository/models/m/drop",
                           "/metrics/",
                           "/V2",
                           "/v2/models/m/versions/1/infer/a/b/c/d/e/f"})
    EXPECT_EQ(status_of("GET", path), 404) << path;
  EXPECT_EQ(status_of("GET", "/v2" + std::string(100'000, '/')), 404);
}

TEST(Routes, SayWhichMethodGoes) {
  const auto got = parse_route("GET", "/v2/models/m/infer");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error(), (RouteError{405, "GET does not go with /v2/models/m/infer, POST does", "POST"}));
  const auto posted = parse_route("POST", "/v2/health/live");
  ASSERT_FALSE(posted);
  EXPECT_EQ(posted.error().allow, "GET, HEAD");
  for (const char* method : {"PUT", "DELETE", "get", ""}) EXPECT_EQ(status_of(method, "/v2"), 405) << method;
  EXPECT_EQ(status_of("DELETE", "/v2/repository/models/m/load"), 405);
}

}  // namespace
}  // namespace ds::serving
