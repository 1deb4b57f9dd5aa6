#include "actors/gateway/host_port.hpp"

#include <gtest/gtest.h>

namespace ds::gateway {
namespace {

TEST(HostPort, TakesNamesAndBothKindsOfAddresses) {
  const auto v4 = parse_host_port("127.0.0.1:0");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 0);
  const auto v6 = parse_host_port("[::1]:65535");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 65535);
  EXPECT_EQ(parse_host_port("localhost:80")->host, "127.0.0.1");
  EXPECT_EQ(parse_host_port("head.example:80")->host, "head.example");
}

TEST(HostPort, RefusesWhatIsNeither) {
  for (const char* bad : {"", "host", ":80", "host:", "host:65536", "host:8o", "host:-1", "http://host:80",
                          "user@host:80", "a b:80", "host\r\nX:80", "[]:80"}) {
    const auto parsed = parse_host_port(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(parsed.error().hint.empty());
  }
}

}  // namespace
}  // namespace ds::gateway
