#include "tests/unit/serving/batching_simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>

namespace ds::serving {
namespace {

constexpr std::uint32_t kMaxSize = 32;

struct Model {
  const char* name;
  ServiceTime service;
  double capacity() const { return kMaxSize / service(kMaxSize) * 1e6; }
};

const std::array<Model, 3> kModels{{
    {"most of a batch's cost is fixed", [](std::uint32_t n) { return 5'000 + 100.0 * n; }},
    {"most is its rows'", [](std::uint32_t n) { return 1'000 + 1'000.0 * n; }},
    {"padded to powers of two", [](std::uint32_t n) { return 2'000 + 250.0 * std::bit_ceil(n); }},
}};

bool is_held(const BatchingOptions& options, const Model& model, double per_second, double objective_us,
             double burst) {
  constexpr std::size_t kRequests = 3'000;
  for (std::uint32_t seed = 1; seed <= 2; ++seed) {
    const auto requests = make_arrivals(per_second, kRequests, seed, burst);
    const auto run = run_replica(options, requests, model.service, seed + 10);
    if (static_cast<double>(run.p99_us()) > objective_us) return false;
  }
  return true;
}

/// The highest rate, within 1 %.
double rate_held(const BatchingOptions& options, const Model& model, double objective_us, double burst) {
  double low = 1, high = model.capacity() * options.executors * 1.2;
  while (high - low > 0.01 * high) {
    const double middle = (low + high) / 2;
    (is_held(options, model, middle, objective_us, burst) ? low : high) = middle;
  }
  return low;
}

void compare_with_grid(double burst, std::uint32_t executors) {
  for (const Model& model : kModels) {
    for (const std::uint32_t size : {4U, kMaxSize}) {
      const double objective_us = 3 * model.service(size);
      BatchingOptions options;
      options.max_depth = 100'000;
      options.executors = executors;
      options.p99_us = static_cast<std::int64_t>(objective_us);
      const double rate = rate_held(options, model, objective_us, burst);
      SCOPED_TRACE(std::string(model.name) + ", p99 " + std::to_string(objective_us) +
                   " us, adaptive holds " + std::to_string(rate) + "/s");
      EXPECT_GT(rate, 0.1 * model.capacity());
      options.mode = BatchingOptions::Mode::fixed;
      for (const std::uint32_t max_size : {1U, 4U, 8U, 16U, 32U}) {
        for (const std::int64_t delay_us : {0, 1'000, 2'000, 5'000, 10'000}) {
          options.max_size = max_size;
          options.max_delay_us = delay_us;
          EXPECT_FALSE(is_held(options, model, rate / 0.9, objective_us, burst))
              << "size " << max_size << " and a delay of " << delay_us << " us hold over 1/0.9 of that";
        }
      }
    }
  }
}

TEST(AdaptiveBatching, HoldsNineTenthsOfTheBestFixedSizeAndDelay) {
  compare_with_grid(1, 1);
}

TEST(AdaptiveBatching, HoldsNineTenthsOfTheBestFixedSizeAndDelayInBursts) {
  compare_with_grid(3, 1);
}

TEST(AdaptiveBatching, HoldsNineTenthsOfTheBestFixedSizeAndDelayOnTwoExecutors) {
  compare_with_grid(1, 2);
}

TEST(AdaptiveBatching, AddsNothingToTheLatencyOfALoneRequest) {
  for (const Model& model : kModels) {
    const auto run = run_replica({}, make_arrivals(5, 300, 1), model.service, 2);
    std::vector<std::int64_t> latencies;
    for (const Outcome& outcome : run.outcomes) latencies.push_back(outcome.latency_us);
    std::ranges::nth_element(latencies, latencies.begin() + 150);
    EXPECT_LT(latencies[150], model.service(1) * 1.05) << model.name;
  }
}

TEST(Overload, LeavesTheGoodputAtNineTenthsOfTheCapacity) {
  for (const Model& model : kModels) {
    for (const double times : {2, 5, 20}) {
      SCOPED_TRACE(std::string(model.name) + ", " + std::to_string(times) + " times the capacity");
      const double rate = model.capacity() * times;
      auto requests = make_arrivals(rate, static_cast<std::size_t>(rate * 3), 7);
      for (Request& request : requests)
        request.timeout_us = static_cast<std::int64_t>(5 * model.service(kMaxSize));
      BatchingOptions options;
      const auto run = run_replica(options, requests, model.service, 8);
      const double seconds = static_cast<double>(run.ended_us) / 1e6;
      const double goodput = static_cast<double>(run.answered_in_time()) / seconds / model.capacity();
      EXPECT_GE(goodput, 0.9);
      EXPECT_LE(run.deepest, options.max_depth);
      const std::string name = "goodput_" + std::to_string(static_cast<int>(times)) + "_model_";
      RecordProperty(name + std::to_string(&model - kModels.data()), std::to_string(goodput));
      // Work that is too late is refused, not done.
      const std::uint64_t wasted = run.counters.tickets_run - run.answered_in_time();
      EXPECT_LT(wasted, run.counters.tickets_run / 20);
    }
  }
}

TEST(Overload, OfOneTenantLeavesAnotherItsAnswersInTime) {
  const Model& model = kModels[0];
  const double capacity = model.capacity();
  auto requests = make_arrivals(capacity * 10, static_cast<std::size_t>(capacity * 20), 3);
  for (Request& request : requests) request.tenant = "flood";
  auto calm = make_arrivals(capacity * 0.2, static_cast<std::size_t>(capacity * 0.4), 4);
  for (Request& request : calm) request.tenant = "calm";
  requests.insert(requests.end(), calm.begin(), calm.end());
  std::ranges::stable_sort(requests, {}, &Request::at_us);
  const auto run = run_replica({}, requests, model.service, 5);
  std::size_t asked = 0, answered = 0;
  std::int64_t slowest = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].tenant != "calm") continue;
    ++asked;
    answered += run.outcomes[i].in_time ? 1 : 0;
    slowest = std::max(slowest, run.outcomes[i].latency_us);
  }
  EXPECT_EQ(answered, asked);
  EXPECT_LT(slowest, 4 * model.service(kMaxSize)) << "while the flood waits for 1000 others";
}

}  // namespace
}  // namespace ds::serving
