#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/policy/autoscale.hpp"

namespace ds::scheduler {
namespace {

/// Replicas of a model under a load, and the autoscaler, in virtual time. Each serves ten requests at once in
/// 100 ms, or fewer in as long; a new one is ready after `start_ms`.
class Loop {
 public:
  static constexpr double kRate = 100;  // of a saturated replica, a second
  static constexpr double kServiceMs = 100;
  static constexpr std::int64_t kTickMs = 10, kEveryMs = 250;

  Loop(const AutoscaleOptions& options, std::uint32_t ready, std::uint32_t seed)
      : options_(options), random_(seed), ready_(ready) {}

  /// `per_second` at each time, until `end_ms`.
  void run(std::int64_t end_ms, const std::function<double(std::int64_t)>& per_second) {
    for (; now_ms < end_ms; now_ms += kTickMs) {
      while (!starts_.empty() && starts_.front() <= now_ms) {
        starts_.erase(starts_.begin());
        ++ready_;
      }
      const double mean = per_second(now_ms) * kTickMs / 1'000;
      const auto came = mean > 0 ? std::poisson_distribution<std::uint64_t>(mean)(random_) : 0;
      ongoing_ += static_cast<double>(came);
      arrivals_ += came;
      carry_ += std::min(ongoing_ * kTickMs / kServiceMs, ready_ * kRate * kTickMs / 1'000);
      const double done = std::min(std::floor(carry_), ongoing_);
      carry_ -= done;
      ongoing_ -= done;
      answered_ += static_cast<std::uint64_t>(done);
      if (now_ms % kEveryMs == 0) decide();
    }
  }

  std::uint32_t there() const { return ready_ + static_cast<std::uint32_t>(starts_.size()); }
  std::uint32_t ready() const { return ready_; }
  double ongoing() const { return ongoing_; }

  std::int64_t now_ms = 0, start_ms = 2'000;
  std::uint32_t most = 0;
  int changes = 0;

 private:
  void decide() {
    // Who comes now waits for what is ahead; a wait is forgotten after two seconds.
    const double wait_ms = std::max(0.0, ongoing_ - 10 * ready_) * 1'000 / (kRate * std::max(ready_, 1U));
    latencies_.push_back(kServiceMs + wait_ms);
    if (latencies_.size() > 8) latencies_.erase(latencies_.begin());
    history_.add({now_ms, ongoing_, std::exchange(arrivals_, 0), std::exchange(answered_, 0),
                  std::ranges::max(latencies_), ready_, static_cast<std::uint32_t>(starts_.size())});
    const std::uint32_t wanted = autoscale(options_, history_, now_ms).replicas;
    if (wanted != there()) ++changes;
    while (there() < wanted) starts_.push_back(now_ms + start_ms);
    while (there() > wanted && !starts_.empty()) starts_.pop_back();
    ready_ = std::min(ready_, wanted);
    most = std::max(most, there());
  }

  AutoscaleOptions options_;
  LoadHistory history_;
  std::mt19937 random_;
  std::uint32_t ready_;
  std::vector<std::int64_t> starts_;
  std::vector<double> latencies_;
  double ongoing_ = 0, carry_ = 0;
  std::uint64_t arrivals_ = 0, answered_ = 0;
};

AutoscaleOptions options_of(std::uint32_t min, std::uint32_t max) {
  AutoscaleOptions options;
  options.min = min;
  options.max = max;
  options.target = 7;  // of the ten that a replica can serve at once
  return options;
}

TEST(AutoscaleLoop, FollowsAStepOfEightTimesTheLoadWithinSeconds) {
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Loop loop(options_of(1, 50), 1, seed);
    loop.run(120'000, [](std::int64_t) { return 50; });
    EXPECT_EQ(loop.there(), 1U);
    // 400 a second: six replicas at the target, four saturated.
    const auto after = [](std::int64_t) { return 400; };
    loop.run(122'000, after);
    EXPECT_GE(loop.there(), 5U) << "asked for within two seconds";
    loop.run(125'000, after);
    EXPECT_GE(loop.ready(), 5U) << "and there once they have started";
    loop.run(131'000, after);
    EXPECT_LT(loop.ongoing(), 100) << "the backlog is gone";
    loop.run(180'000, after);
    EXPECT_LE(loop.most, 9U) << "half as many again as the load needs";
    EXPECT_GE(loop.there(), 5U);
    // And back, without growing on the way.
    const std::uint32_t highest = loop.there();
    const int changes = loop.changes;
    loop.run(300'000, [](std::int64_t) { return 50; });
    EXPECT_LE(loop.there(), 2U);
    EXPECT_LE(loop.changes - changes, static_cast<int>(highest - loop.there()));
  }
}

TEST(AutoscaleLoop, ChangesAtMostSixTimesAnHourUnderNoiseAtAnyLoad) {
  for (const double per_second : {35, 70, 77, 140, 210, 350, 700}) {
    SCOPED_TRACE(std::to_string(per_second) + " a second");
    Loop loop(options_of(1, 50), 4, 1);
    loop.run(300'000, [&](std::int64_t) { return per_second; });
    const int settled = loop.changes;
    loop.run(300'000 + 3'600'000, [&](std::int64_t) { return per_second; });
    EXPECT_LE(loop.changes - settled, 6);
    EXPECT_GE(loop.there(), std::floor(per_second / 70));
    EXPECT_LE(loop.there(), std::ceil(per_second / 70) + 2);
  }
}

TEST(AutoscaleLoop, HoldsALatencyWithoutTryingTooFewAgainAndAgain) {
  for (std::uint32_t seed = 1; seed <= 2; ++seed) {
    SCOPED_TRACE(seed);
    AutoscaleOptions options = options_of(1, 50);
    options.target = 0;
    options.p99_ms = 400;
    Loop loop(options, 1, seed);
    loop.run(120'000, [](std::int64_t) { return 50; });
    EXPECT_EQ(loop.there(), 1U);
    const auto after = [](std::int64_t) { return 380; };
    loop.run(140'000, after);
    EXPECT_GE(loop.ready(), 4U);
    EXPECT_LE(loop.most, 10U) << "its backlog is no reason for more";
    // More than it needs go one after another; then too few are tried about once an hour.
    loop.run(140'000 + 8 * 70'000, after);
    const int settled = loop.changes;
    loop.run(140'000 + 8 * 70'000 + 3'600'000, after);
    EXPECT_LE(loop.changes - settled, 7) << "one try, and back";
    EXPECT_GE(loop.there(), 4U);
    EXPECT_LE(loop.there(), 6U);
  }
}

TEST(AutoscaleLoop, GoesToZeroAndBack) {
  AutoscaleOptions options = options_of(0, 10);
  options.down_delay_ms = 20'000;
  options.to_zero_after_ms = 30'000;
  Loop loop(options, 0, 1);
  loop.run(10'000, [](std::int64_t) { return 0; });
  EXPECT_EQ(loop.most, 0U);
  loop.run(60'000, [](std::int64_t) { return 30; });
  EXPECT_EQ(loop.there(), 1U);
  EXPECT_EQ(loop.most, 1U) << "what waited for the first is no reason for more";
  EXPECT_LT(loop.ongoing(), 20);
  loop.run(120'000, [](std::int64_t) { return 250; });
  EXPECT_GE(loop.there(), 4U);
  EXPECT_LE(loop.there(), 6U);
  loop.run(145'000, [](std::int64_t) { return 30; });
  EXPECT_EQ(loop.there(), 1U);
  loop.run(185'000, [](std::int64_t) { return 0; });
  EXPECT_EQ(loop.there(), 0U);
}

}  // namespace
}  // namespace ds::scheduler
