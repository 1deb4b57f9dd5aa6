#include "actors/gateway/response_head.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "actors/gateway/error_response.hpp"

namespace ds::gateway {
namespace {

TEST(ResponseHead, NamesLengthTypeAndDate) {
  HttpResponse response;
  response.body = "{}";
  EXPECT_EQ(format_response_head(response, true, 784111777),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ResponseHead, LetsNoHeaderValueBeginAnotherHeader) {
  HttpResponse response;
  response.headers.emplace_back("X-Name", "a\r\nSet-Cookie: b");
  EXPECT_NE(format_response_head(response, true, 0).find("X-Name: a  Set-Cookie: b\r\n"), std::string::npos);
}

TEST(ResponseHead, GivesNoLengthWhereThereCanBeNoBody) {
  HttpResponse response;
  response.status = 204;
  EXPECT_EQ(format_response_head(response, true, 0).find("Content-Length"), std::string::npos);
}

TEST(ErrorResponse, IsJsonWhateverTheMessageHolds) {
  const auto response = error_response(404, "not_found", "no job \"\xff\n\"", "try ds-submit list");
  EXPECT_EQ(response.status, 404);
  const auto body = nlohmann::json::parse(response.body);
  EXPECT_EQ(body.at("error").at("code"), "not_found");
  EXPECT_EQ(body.at("error").at("hint"), "try ds-submit list");
}

}  // namespace
}  // namespace ds::gateway
