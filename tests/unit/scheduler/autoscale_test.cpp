#include "scheduler/policy/autoscale.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace ds::scheduler {
namespace {

constexpr std::int64_t kEveryMs = 250;

AutoscaleOptions options_of(std::uint32_t min, std::uint32_t max, double target) {
  AutoscaleOptions options;
  options.min = min;
  options.max = max;
  options.target = target;
  return options;
}

/// So much ongoing, for so long, with so many replicas.
LoadHistory steady(double ongoing, std::int64_t for_ms, std::uint32_t ready, double p99_ms = 0) {
  LoadHistory history;
  for (std::int64_t at = 0; at <= for_ms; at += kEveryMs) history.add({at, ongoing, 0, 0, p99_ms, ready, 0});
  return history;
}

TEST(Autoscale, AsksForTheLoadOverTheTarget) {
  const auto chosen = autoscale(options_of(1, 10, 4), steady(19, 10'000, 3), 10'000);
  EXPECT_EQ(chosen.replicas, 5U);
  EXPECT_EQ(chosen.reason, "19 requests ongoing in the last 2 s, 4 wanted for each of 3 replicas");
}

TEST(Autoscale, LeavesTheReplicasWhileTheLoadIsNearTheTarget) {
  EXPECT_EQ(autoscale(options_of(1, 10, 4), steady(13, 90'000, 3), 90'000).replicas, 3U) << "8 % above";
  EXPECT_EQ(autoscale(options_of(1, 10, 4), steady(7.5, 90'000, 3), 90'000).replicas, 3U)
      << "2 would be 94 % full";
  EXPECT_EQ(autoscale(options_of(1, 10, 4), steady(7, 90'000, 3), 90'000).replicas, 2U);
}

TEST(Autoscale, HasFewerOnlyWhenNothingWithinTheDelayNeededThem) {
  const AutoscaleOptions options = options_of(1, 10, 4);
  LoadHistory history = steady(20, 60'000, 5);
  std::int64_t now = 60'000;
  for (; now < 60'000 + options.down_delay_ms; now += kEveryMs) {
    history.add({now, 4, 0, 0, 0, 5, 0});
    ASSERT_EQ(autoscale(options, history, now).replicas, 5U) << now;
  }
  for (const auto end = now + 2 * options.up_delay_ms; now < end; now += kEveryMs)
    history.add({now, 4, 0, 0, 0, 5, 0});
  EXPECT_EQ(autoscale(options, history, now).replicas, 2U) << "4 / 4, and a tenth of room";
  EXPECT_EQ(autoscale(options, steady(4, 10'000, 5), 10'000).replicas, 5U) << "too little is known to shrink";
}

TEST(Autoscale, AnswersABurstBeforeItsDelayIsOver) {
  AutoscaleOptions options = options_of(1, 20, 4);
  options.up_delay_ms = 10'000;
  LoadHistory history = steady(4, 60'000, 1);
  for (std::int64_t at = 60'250; at <= 60'750; at += kEveryMs) history.add({at, 40, 0, 0, 0, 1, 0});
  const auto chosen = autoscale(options, history, 60'750);
  EXPECT_EQ(chosen.replicas, 10U);
  EXPECT_NE(chosen.reason.find("a burst"), std::string::npos) << chosen.reason;
  LoadHistory mild = steady(4, 60'000, 1);
  for (std::int64_t at = 60'250; at <= 60'750; at += kEveryMs) mild.add({at, 6, 0, 0, 0, 1, 0});
  EXPECT_EQ(autoscale(options, mild, 60'750).replicas, 1U) << "half as much again is no burst";
}

TEST(Autoscale, TakesABacklogForWhatItIs) {
  LoadHistory history;
  for (std::int64_t at = 0; at <= 10'000; at += kEveryMs) {
    // 75 arrive and 25 are answered by one saturated replica: 3 would do, whatever waits.
    history.add({at, static_cast<double>(at) / 5, 75, 25, 0, 1, 0});
  }
  const auto chosen = autoscale(options_of(1, 100, 4), history, 10'000);
  EXPECT_EQ(chosen.replicas, 5U) << "1.5 times 3";
  EXPECT_NE(chosen.reason.find("mostly a backlog, what arrives needs 3"), std::string::npos) << chosen.reason;
}

TEST(Autoscale, GoesToZeroOnlyAfterItsTimeAndBackAtTheFirstRequest) {
  AutoscaleOptions options = options_of(0, 4, 4);
  options.to_zero_after_ms = 30'000;
  options.down_delay_ms = 5'000;
  EXPECT_EQ(autoscale(options, steady(0, 29'000, 1), 29'000).replicas, 1U);
  const auto gone = autoscale(options, steady(0, 30'000, 1), 30'000);
  EXPECT_EQ(gone.replicas, 0U);
  EXPECT_EQ(gone.reason, "no request in the last 30 s");
  LoadHistory history = steady(0, 60'000, 0);
  EXPECT_EQ(autoscale(options, history, 60'000).replicas, 0U);
  history.add({60'001, 1, 1, 0, 0, 0, 0});
  EXPECT_EQ(autoscale(options, history, 60'001).replicas, 1U);
  history.add({60'251, 90, 89, 0, 0, 0, 1});
  EXPECT_EQ(autoscale(options, history, 60'251).replicas, 1U) << "what one can do is unknown yet";
  options.min = 1;
  EXPECT_EQ(autoscale(options, steady(0, 90'000, 1), 90'000).replicas, 1U);
}

TEST(Autoscale, GrowsWhenTheLatencyIsAboveItsObjective) {
  AutoscaleOptions options = options_of(1, 10, 0);
  options.p99_ms = 100;
  EXPECT_EQ(autoscale(options, steady(5, 60'000, 2, 150), 60'000).replicas, 3U);
  EXPECT_EQ(autoscale(options, steady(5, 60'000, 2, 90), 60'000).replicas, 2U);
  EXPECT_EQ(autoscale(options, steady(5, 60'000, 2, 10'000), 60'000).replicas, 8U)
      << "no more than four times";
  EXPECT_EQ(autoscale(options, steady(5, 90'000, 2, 20), 90'000).replicas, 1U);
  LoadHistory starting = steady(5, 60'000, 2, 150);
  starting.add({60'250, 5, 0, 0, 150, 2, 1});
  EXPECT_EQ(autoscale(options, starting, 60'250).replicas, 3U) << "one is coming: let it help first";
  LoadHistory placeless;
  for (std::int64_t at = 0; at <= 90'000; at += kEveryMs) placeless.add({at, 5, 0, 0, 20, 2, 1});
  EXPECT_EQ(autoscale(options, placeless, 90'000).replicas, 2U) << "one finds no slot, and none is needed";
}

TEST(Autoscale, UsesTheMinimumWhileNothingIsKnown) {
  EXPECT_EQ(autoscale(options_of(2, 5, 4), {}, 0).replicas, 2U);
}

LoadHistory draw_history(std::mt19937& random) {
  LoadHistory history;
  std::int64_t at = 0;
  std::uint32_t ready = random() % 6;
  for (std::uint32_t i = 0; i < random() % 300; ++i) {
    at += random() % 1'000;
    if (random() % 20 == 0) ready = random() % 6;
    history.add({at, static_cast<double>(random() % 80), random() % 50, random() % 50,
                 static_cast<double>(random() % 300), ready,
                 static_cast<std::uint32_t>(random() % 8 == 0 ? random() % 4 : 0)});
  }
  return history;
}

TEST(AutoscaleProperty, StaysWithinItsBoundsAndSaysWhy) {
  for (std::uint32_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    AutoscaleOptions options =
        options_of(random() % 3, 3 + random() % 10, random() % 3 == 0 ? 0 : 1 + random() % 20);
    options.p99_ms = random() % 2 == 0 ? 0 : 1 + random() % 300;
    const LoadHistory history = draw_history(random);
    const std::int64_t now = history.samples().empty() ? 0 : history.samples().back().at_ms;
    const auto chosen = autoscale(options, history, now);
    EXPECT_GE(chosen.replicas, options.min);
    EXPECT_LE(chosen.replicas, options.max);
    EXPECT_FALSE(chosen.reason.empty());
  }
}

TEST(AutoscaleProperty, NeverWantsFewerBecauseOfMoreLoad) {
  for (std::uint32_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    AutoscaleOptions options = options_of(random() % 2, 100, 1 + random() % 20);
    const LoadHistory history = draw_history(random);
    LoadHistory loaded;
    for (LoadSample sample : history.samples()) {
      sample.ongoing += random() % 20;
      loaded.add(sample);
    }
    const std::int64_t now = history.samples().empty() ? 0 : history.samples().back().at_ms;
    const auto less = autoscale(options, history, now), more = autoscale(options, loaded, now);
    EXPECT_LE(less.replicas, more.replicas) << less.reason << "\n" << more.reason;
  }
}

TEST(LoadHistory, StaysBoundedAndRemembersTheLoadOfLongAgo) {
  LoadHistory history;
  std::uint64_t arrivals = 0;
  for (std::int64_t at = 0; at < 50'000; ++at) {
    history.add({at, at == 100 ? 77.0 : 1.0, 1, 0, 0, 1, 0});
    ASSERT_LE(history.samples().size(), LoadHistory::kMostSamples);
  }
  double most = 0;
  for (const LoadSample& sample : history.samples()) {
    most = std::max(most, sample.ongoing);
    arrivals += sample.arrivals;
  }
  EXPECT_EQ(most, 77);
  EXPECT_EQ(arrivals, 50'000U);
  history.add({10, 99, 1, 0, 0, 1, 0});
  EXPECT_EQ(history.samples().back().at_ms, 49'999) << "out of order";
}

}  // namespace
}  // namespace ds::scheduler
