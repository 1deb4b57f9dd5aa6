// Processes of one host under checked traffic that are stopped, killed or starved.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/chaos/options.hpp"
#include "tests/chaos/traffic_run.hpp"
#include "tests/integration/fabric_station.hpp"
#include "tests/unit/fabric/peer_process.hpp"

namespace ds::fabric::tests {
namespace {

using namespace std::chrono_literals;
using chaos::TrafficRun;

constexpr auto kSlack = 5s;  // what a slow machine may add to a limit

std::int64_t nanoseconds(std::chrono::nanoseconds time) {
  return time.count();
}

#define EXPECT_ALL_WELL(run)                          \
  for (const std::string& finding : (run).settle()) { \
    ADD_FAILURE() << finding;                         \
  }

TEST(FabricStopped, AStoppedProcessIsSuspectedInTimeAndRefusedWhenItWakes) {
  TrafficRun run(CHAOS_PEER);
  for (std::size_t slot = 0; slot < 3; ++slot) run.start(slot, "127.0.0.1");
  run.introduce();
  ASSERT_TRUE(run.flows());
  const std::int64_t stopped = chaos::now_ns();
  run.stop(0);
  ASSERT_TRUE(run.eventually([&] {
    return !run.check().losses(run.id(1), run.id(0)).empty() &&
           !run.check().losses(run.id(2), run.id(0)).empty() &&
           !run.check().fired(run.id(1), run.id(0)).empty() &&
           !run.check().fired(run.id(2), run.id(0)).empty();
  }));
  for (std::size_t slot : {1u, 2u}) {
    const auto took = run.check().losses(run.id(slot), run.id(0)).front() - stopped;
    RecordProperty("suspected_after_ms_" + std::to_string(slot), static_cast<int>(took / 1'000'000));
    EXPECT_GE(took, nanoseconds(chaos::kHeartbeatTimeout / 2));
    EXPECT_LE(took, nanoseconds(chaos::kHeartbeatTimeout + kSlack));
  }
  run.wake(0);
  // It learns that it was lost, on both connections, and comes back as a new one.
  EXPECT_TRUE(run.eventually([&] {
    return !run.check().losses(run.id(0), run.id(1)).empty() &&
           !run.check().losses(run.id(0), run.id(2)).empty();
  }));
  EXPECT_TRUE(run.flows());
  EXPECT_TRUE(run.check().losses(run.id(1), run.id(2)).empty());
  EXPECT_TRUE(run.check().losses(run.id(2), run.id(1)).empty());
  EXPECT_ALL_WELL(run);
}

TEST(FabricStopped, AShortStopIsNoDeath) {
  TrafficRun run(CHAOS_PEER);
  for (std::size_t slot = 0; slot < 2; ++slot) run.start(slot, "127.0.0.1");
  run.introduce();
  ASSERT_TRUE(run.flows());
  for (int round = 0; round < 5; ++round) {
    run.stop(round % 2 == 0 ? 0 : 1);
    std::this_thread::sleep_for(chaos::kHeartbeatTimeout / 5);
    run.wake(round % 2 == 0 ? 0 : 1);
    EXPECT_TRUE(run.flows());
  }
  EXPECT_ALL_WELL(run);
}

TEST(FabricStopped, EveryMonitorSeesAKilledProcessSoon) {
  TrafficRun run(CHAOS_PEER);
  for (std::size_t slot = 0; slot < 4; ++slot) run.start(slot, "127.0.0.1");
  run.introduce();
  ASSERT_TRUE(run.flows());
  const std::uint64_t victim = run.id(3);
  const std::int64_t killed = chaos::now_ns();
  run.kill(3);
  std::int64_t latest = 0;
  for (std::size_t slot = 0; slot < 3; ++slot) {
    ASSERT_TRUE(run.eventually([&] { return !run.check().fired(run.id(slot), victim).empty(); }));
    latest = std::max(latest, run.check().fired(run.id(slot), victim).front() - killed);
  }
  std::printf("seen after %lld ms by the last of three processes\n",
              static_cast<long long>(latest / 1'000'000));
  RecordProperty("seen_after_ms", static_cast<int>(latest / 1'000'000));
  EXPECT_LE(latest, nanoseconds(2s));
  EXPECT_ALL_WELL(run);
}

TEST(FabricStopped, AStarvedProcessIsNotTakenForDead) {
  TrafficRun run(CHAOS_PEER);
  for (std::size_t slot = 0; slot < 3; ++slot) run.start(slot, "127.0.0.1");
  run.introduce();
  ASSERT_TRUE(run.flows());
  std::atomic<bool> ending{false};
  std::vector<std::thread> burners;
  for (unsigned i = 0; i < 3 * std::max(2u, std::thread::hardware_concurrency()); ++i) {
    burners.emplace_back([&] {
      while (!ending.load(std::memory_order_relaxed)) {
      }
    });
  }
  const auto end = std::chrono::steady_clock::now() + 3 * chaos::kHeartbeatTimeout;
  while (std::chrono::steady_clock::now() < end) EXPECT_TRUE(run.flows());
  ending = true;
  for (auto& burner : burners) burner.join();
  EXPECT_ALL_WELL(run);  // which allows no loss without a reason
}

// ---- what waits for a stopped receiver ----------------------------------------------------------

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(FabricStopped, AStoppedReceiverHoldsBackItsOwnSendersOnly) {
  TransportOptions options;
  options.secret = "secret";
  options.max_queued_bytes = std::size_t{16} << 20;
  options.heartbeat_timeout = 60s;  // it is to be waited for
  PeerProcess stopped("echo");
  PeerProcess awake("echo");
  Station sender(options);
  for (auto* peer : {&stopped, &awake}) {
    ASSERT_TRUE(sender.send(peer->address(), "hello"));
    ASSERT_TRUE(sender.frames.take());
  }
  stopped.stop();
  [[maybe_unused]] const std::size_t before = resident_bytes();
  std::vector<char> accepted;
  int refused = 0;
  std::chrono::nanoseconds slowest{0};
  for (int round = 0; round < 300; ++round) {
    // 1 MiB each, copied anew: 300 MiB if nothing bounded them.
    auto sent = sender.send(stopped.address(), std::string(std::size_t{1} << 20, static_cast<char>(round)));
    if (sent) {
      accepted.push_back(static_cast<char>(round));
    } else {
      ++refused;
      EXPECT_EQ(sent.error().code, ErrorCode::resource_exhausted);
    }
    const auto asked = std::chrono::steady_clock::now();
    ASSERT_TRUE(sender.send(awake.address(), std::to_string(round)));
    auto answer = sender.frames.take();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->parts[0].text(), std::to_string(round));
    slowest = std::max<std::chrono::nanoseconds>(slowest, std::chrono::steady_clock::now() - asked);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GE(accepted.size(), 8u);
  std::printf("%zu MiB accepted; the slowest round trip of the other took %lld us\n", accepted.size(),
              static_cast<long long>(slowest / 1us));
  EXPECT_LT(slowest, 5s);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(resident_bytes(), before + (std::size_t{96} << 20));
#endif
  // Nothing of what was accepted is missing when it wakes.
  stopped.signal(SIGCONT);
  for (char round : accepted) {
    auto echo = sender.frames.take();
    ASSERT_TRUE(echo);
    EXPECT_TRUE(echo->parts[0].text() == std::string(std::size_t{1} << 20, round));
  }
  EXPECT_EQ(sender.losses.size(), 0u);
}

}  // namespace
}  // namespace ds::fabric::tests
