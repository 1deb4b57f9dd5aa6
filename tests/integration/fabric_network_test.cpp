// Processes of two hosts (network namespaces) under checked traffic while the cable between them fails.
#include <gtest/gtest.h>

#include <thread>

#include "tests/chaos/options.hpp"
#include "tests/chaos/traffic_run.hpp"
#include "tests/integration/network_hosts.hpp"

namespace ds::fabric::tests {
namespace {

using namespace std::chrono_literals;
using chaos::TrafficRun;

constexpr auto kSlack = 6s;  // what a slow machine may add to a limit

class FabricNetwork : public testing::Test {
 protected:
  void SetUp() override {
    if (!hosts_.missing().empty()) GTEST_SKIP() << hosts_.missing();
  }

  /// One process on each host; messages flow both ways.
  void begin(bool ipv6 = false) {
    for (int host = 0; host < 2; ++host)
      run_.start(static_cast<std::size_t>(host), ipv6 ? hosts_.ipv6(host) : hosts_.ipv4(host), on(host));
    run_.introduce();
    ASSERT_TRUE(run_.flows());
  }
  std::vector<std::string> on(int host) const {
    std::vector<std::string> words = hosts_.on(host);
    words.insert(words.begin(), "/usr/bin/env");
    return words;
  }
  std::size_t losses(std::size_t who) { return run_.check().losses(run_.id(who), run_.id(1 - who)).size(); }
  std::size_t fired(std::size_t who) { return run_.check().fired(run_.id(who), run_.id(1 - who)).size(); }
  /// Losses may come from what the network did since `from_ns`.
  void excuse(std::int64_t from_ns) {
    const std::int64_t least = from_ns + std::chrono::nanoseconds(chaos::kHeartbeatTimeout).count();
    for (std::size_t slot = 0; slot < 2; ++slot) run_.excuse(slot, from_ns, std::max(chaos::now_ns(), least));
  }
  void expect_all_well() {
    for (const std::string& finding : run_.settle()) ADD_FAILURE() << finding;
  }

  /// Cuts, waits until both sides know, mends, waits until messages flow again.
  void cut_and_mend(const std::function<void()>& cut, const std::function<void()>& mend) {
    const std::size_t before[2] = {losses(0), losses(1)};
    const std::size_t monitors_before[2] = {fired(0), fired(1)};
    const std::int64_t began = chaos::now_ns();
    cut();
    EXPECT_TRUE(run_.eventually([&] {
      return losses(0) > before[0] && losses(1) > before[1] && fired(0) > monitors_before[0] &&
             fired(1) > monitors_before[1];
    }));
    for (std::size_t who = 0; who < 2 && losses(who) > before[who]; ++who) {
      const auto took = run_.check().losses(run_.id(who), run_.id(1 - who))[before[who]] - began;
      std::printf("host %zu knew after %lld ms\n", who, static_cast<long long>(took / 1'000'000));
      EXPECT_LE(took, std::chrono::nanoseconds(chaos::kHeartbeatTimeout + kSlack).count());
    }
    mend();
    EXPECT_TRUE(run_.flows());
    excuse(began);
  }

  NetworkHosts hosts_;
  TrafficRun run_{CHAOS_PEER};
};

TEST_F(FabricNetwork, MessagesFlowBetweenHosts) {
  ASSERT_NO_FATAL_FAILURE(begin());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(run_.flows());
  expect_all_well();
  EXPECT_GT(hosts_.received(0), 100'000u);
  EXPECT_GT(hosts_.received(1), 100'000u);
}

TEST_F(FabricNetwork, MessagesFlowBetweenHostsOverIPv6) {
  ASSERT_NO_FATAL_FAILURE(begin(true));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(run_.flows());
  expect_all_well();
}

TEST_F(FabricNetwork, ALinkThatGoesDownIsReportedInTimeAndBothMeetAgain) {
  ASSERT_NO_FATAL_FAILURE(begin());
  for (int i = 0; i < 2; ++i) cut_and_mend([&] { hosts_.unplug(); }, [&] { hosts_.plug(); });
  expect_all_well();
}

TEST_F(FabricNetwork, ANetworkThatSwallowsEverythingIsReportedInTimeAndBothMeetAgain) {
  ASSERT_NO_FATAL_FAILURE(begin());
  for (int i = 0; i < 2; ++i) cut_and_mend([&] { hosts_.drop(100); }, [&] { hosts_.drop(0); });
  expect_all_well();
}

TEST_F(FabricNetwork, AShortCutLosesNothingOrIsReported) {
  ASSERT_NO_FATAL_FAILURE(begin());
  for (int i = 0; i < 4; ++i) {
    const std::int64_t began = chaos::now_ns();
    hosts_.drop(100);
    std::this_thread::sleep_for(chaos::kHeartbeatTimeout * (i + 1) / 8);
    hosts_.drop(0);
    EXPECT_TRUE(run_.flows());
    excuse(began);
  }
  expect_all_well();
}

TEST_F(FabricNetwork, LostPacketsLoseAndReorderNothing) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const std::int64_t began = chaos::now_ns();
  hosts_.drop(3);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(run_.flows());
  hosts_.drop(0);
  EXPECT_TRUE(run_.flows());
  excuse(began);  // TCP itself may stand still for long
  expect_all_well();
}

}  // namespace
}  // namespace ds::fabric::tests
