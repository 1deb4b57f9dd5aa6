#include "actors/fabric/patient_thread.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "actors/fabric/busy_pace.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;

const BusyPace::Clock::time_point kStart{1h};

/// Rounds of so many requests, a millisecond apart, from `now` on; when the last was.
BusyPace::Clock::time_point go_on(BusyPace& pace, int rounds, std::size_t requests,
                                  BusyPace::Clock::time_point now) {
  for (int i = 0; i < rounds; ++i) pace.on_round(requests, now += 1ms);
  return now;
}

TEST(BusyPace, IsCalmWhileRequestsComeOneByOne) {
  BusyPace pace;
  go_on(pace, 1000, 1, kStart);
  EXPECT_FALSE(pace.is_busy());
}

TEST(BusyPace, IsBusyOnceManyHaveComeTogetherAFewTimes) {
  BusyPace pace;
  auto now = go_on(pace, 1, 100, kStart);
  EXPECT_FALSE(pace.is_busy()) << "after one crowd";
  now = go_on(pace, 10, 100, now);
  EXPECT_TRUE(pace.is_busy());
  now = go_on(pace, 10, 3, now);
  EXPECT_TRUE(pace.is_busy()) << "between the bounds nothing changes";
  go_on(pace, 20, 1, now);
  EXPECT_FALSE(pace.is_busy());
}

TEST(BusyPace, IsCalmAfterAPause) {
  BusyPace pace;
  const auto now = go_on(pace, 20, 10, kStart);
  pace.on_round(0, now + 50ms);
  EXPECT_TRUE(pace.is_busy());
  pace.on_round(0, now + 1s);
  EXPECT_FALSE(pace.is_busy());
}

/// The policy of a new thread, after `work` on it.
template <class Work>
int policy_after(Work work) {
  int policy = -1;
  std::thread([&] {
    work();
    policy = sched_getscheduler(0);
  }).join();
  return policy;
}

TEST(PatientThread, TakesTheProcessorFromNobodyWhileItIsBusy) {
  if (policy_after([] {}) != SCHED_OTHER) GTEST_SKIP() << "whoever started this chose another policy";
  EXPECT_EQ(policy_after([] {
              for (int i = 0; i < 20; ++i) note_round(10);
            }),
            SCHED_BATCH);
  EXPECT_EQ(policy_after([] {
              for (int i = 0; i < 20; ++i) note_round(10);
              for (int i = 0; i < 40; ++i) note_round(1);
            }),
            SCHED_OTHER);
}

TEST(PatientThread, KeepsAPolicyThatIsNotTheUsualOne) {
  EXPECT_EQ(policy_after([] {
              const sched_param normal{};
              sched_setscheduler(0, SCHED_IDLE, &normal);
              for (int i = 0; i < 20; ++i) note_round(10);
            }),
            SCHED_IDLE);
}

}  // namespace
}  // namespace ds::fabric
