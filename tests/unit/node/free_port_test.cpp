#include "actors/node/free_port.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace ds::node {
namespace {

TEST(FreePort, IsNoneThatWasGivenBefore) {
  std::set<std::uint16_t> given;
  for (int i = 0; i < 50; ++i) {
    const auto port = choose_free_port(given);
    ASSERT_TRUE(port) << port.error().message;
    EXPECT_GE(*port, 10'000);
    EXPECT_TRUE(given.insert(*port).second);
  }
}

TEST(FreePort, IsAnErrorWithASentenceWhenThereIsNone) {
  std::set<std::uint16_t> given;
  for (int port = 0; port <= std::numeric_limits<std::uint16_t>::max(); ++port)
    given.insert(static_cast<std::uint16_t>(port));
  const auto port = choose_free_port(given);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(port.error().message.find("MASTER_PORT"), std::string::npos) << port.error().message;
  const auto last = given.lower_bound(20'000);
  const auto left = *last;
  given.erase(last);
  const auto found = choose_free_port(given);
  ASSERT_TRUE(found) << "the one that is left is found";
  EXPECT_EQ(*found, left);
}

}  // namespace
}  // namespace ds::node
