#include "clients/connection.hpp"

#include <gtest/gtest.h>

#include "clients/api_client.hpp"
#include "clients/failure.hpp"

namespace ds::clients {
namespace {

TEST(Connection, TakesTheUsualWaysToWriteAnAddress) {
  EXPECT_EQ(parse_head_address("127.0.0.1:80", "--head").text(), "127.0.0.1:80");
  EXPECT_EQ(parse_head_address("http://head.example:8080/", "--head").text(), "head.example:8080");
  EXPECT_EQ(parse_head_address("[::1]:80", "--head").host, "::1");
  EXPECT_EQ(parse_head_address("[::1]:80", "--head").text(), "[::1]:80");
}

TEST(Connection, RefusesWhatIsNoAddressAndSaysWhereItWasGiven) {
  for (const char* bad : {"", "host", ":80", "host:", "host:0", "host:65536", "host:8o", "https://host:1",
                          "user@host:1", "host/x:1"}) {
    try {
      parse_head_address(bad, "DS_HEAD");
      ADD_FAILURE() << bad;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.exit_code, ExitCode::usage);
      EXPECT_EQ(failure.message.rfind("DS_HEAD: ", 0), 0u) << failure.message;
    }
  }
}

TEST(Connection, EncodesNamesIntoOneSegment) {
  EXPECT_EQ(encode_segment("intents-3.v_2~"), "intents-3.v_2~");
  EXPECT_EQ(encode_segment("../a b?c=%ä"), "..%2Fa%20b%3Fc%3D%25%C3%A4");
}

}  // namespace
}  // namespace ds::clients
