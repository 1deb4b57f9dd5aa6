// Every pattern of bits arrives as it left, between hosts and on one.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/chaos/peer_process.hpp"
#include "tests/integration/network_hosts.hpp"

namespace ds::fabric::tests {
namespace {

using chaos::PeerProcess;
using Words = std::vector<std::string>;
constexpr std::chrono::seconds kPatience{90};

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// `on_a` and `on_b` stand before the commands that run on the two hosts.
void expect_same_values(const std::string& a, const Words& on_a, const std::string& b, const Words& on_b) {
  PeerProcess echo("/usr/bin/env", joined(on_b, {VALUES_PEER, b}), "DS_VALUES=echo");
  const auto address = echo.hear(kPatience);
  ASSERT_TRUE(address);
  std::string id, port;
  ASSERT_TRUE(std::istringstream(*address) >> id >> port) << *address;
  PeerProcess asker("/usr/bin/env", joined(on_a, {VALUES_PEER, a, b, id, port}), "DS_VALUES=ask");
  std::string last;
  while (auto line = asker.hear(kPatience)) {
    last = *line;
    if (last == "same") break;
  }
  EXPECT_EQ(last, "same");
}

TEST(FabricValues, EveryPatternArrivesAsItLeftOnOneHost) {
  expect_same_values("127.0.0.1", {}, "127.0.0.1", {});
}

TEST(FabricValues, EveryPatternArrivesAsItLeftBetweenHosts) {
  NetworkHosts hosts;
  if (!hosts.missing().empty()) GTEST_SKIP() << hosts.missing();
  const auto before = hosts.received(0);
  expect_same_values(hosts.ipv4(0), hosts.on(0), hosts.ipv4(1), hosts.on(1));
  EXPECT_GT(hosts.received(0), before + (std::size_t{16} << 20)) << "it did not go over the cable";
}

}  // namespace
}  // namespace ds::fabric::tests
