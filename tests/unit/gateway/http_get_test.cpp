#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/gateway/http_server.hpp"
#include "tests/unit/gateway/echo_server.hpp"

namespace ds::gateway::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(HttpGet, GetsAPage) {
  const auto server = start_server();
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const auto response =
        http_get(fmt::format("{}:{}", host, server->port()), "/api/v1/cluster?x=1", seconds(30));
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->content_type, "text/plain");
    EXPECT_EQ(response->body, "GET /api/v1/cluster ");
  }
}

TEST(HttpGet, HandsOverAStatusThatIsNotSuccess) {
  const auto server = start_server([](const HttpRequest&, const Respond& respond) {
    HttpResponse response;
    response.status = 404;
    response.body = std::string(1 << 20, 'x');
    respond(std::move(response));
  });
  const auto response = http_get(fmt::format("127.0.0.1:{}", server->port()), "/", seconds(30));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body.size(), 1u << 20);
}

TEST(HttpGet, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  { port = start_server()->port(); }
  const auto response = http_get(fmt::format("127.0.0.1:{}", port), "/", seconds(30));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable);
  EXPECT_NE(response.error().message.find(std::to_string(port)), std::string::npos);
}

TEST(HttpGet, GivesUpOnAServerThatIsSilent) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const auto response =
      http_get(fmt::format("127.0.0.1:{}", ntohs(address.sin_port)), "/", milliseconds(200));
  ::close(listener);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::deadline_exceeded);
}

TEST(HttpGet, RefusesAddressesAndPathsThatAreNone) {
  for (const char* bad : {"", "localhost", ":80", "host:", "host:0", "host:99999", "host:8x"}) {
    const auto response = http_get(bad, "/", seconds(1));
    ASSERT_FALSE(response) << bad;
    EXPECT_EQ(response.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_FALSE(http_get("127.0.0.1:1", "/a\r\nX: y", seconds(1)));
}

}  // namespace
}  // namespace ds::gateway::testing
