#include "scheduler/spec/schedule_factor.hpp"

#include <algorithm>

namespace ds::scheduler {
namespace {

/// By repeated squaring: `std::pow` may differ in the last bit from one C library to the next.
double power(double base, std::uint64_t exponent) {
  double result = 1;
  for (; exponent != 0; exponent >>= 1U) {
    if ((exponent & 1U) != 0) result *= base;
    base *= base;
  }
  return result;
}

/// (1 + cos(pi x)) / 2 for x in [0, 1], without the C library for the same reason: cos^2 of half the angle,
/// by the series of the sine or cosine, whichever has an argument below pi / 4.
double half_cosine(double x) {
  constexpr double kHalfPi = 1.57079632679489661923;
  const bool is_near_zero = x <= 0.5;
  const double angle = kHalfPi * (is_near_zero ? x : 1 - x);
  const double square = angle * angle;
  double term = is_near_zero ? 1 : angle, sum = term;
  for (int n = is_near_zero ? 1 : 2; n < 24; n += 2) {
    term *= -square / (n * (n + 1));
    sum += term;
  }
  return sum * sum;
}

/// How far `step` is on its way from the first step after warm-up to the last of all, from 0 to 1.
double progress(const ScheduleSpec& schedule, std::uint64_t step, std::uint64_t total) {
  if (step <= schedule.warmup || total <= schedule.warmup + 1) return 0;
  const double way = static_cast<double>(total - 1 - schedule.warmup);
  return std::min(1.0, static_cast<double>(step - schedule.warmup) / way);
}

std::uint64_t count_cuts(const ScheduleSpec& schedule, std::uint64_t step) {
  if (schedule.every != 0) return step / schedule.every;
  return static_cast<std::uint64_t>(
      std::count_if(schedule.at.begin(), schedule.at.end(), [&](std::uint64_t at) { return at <= step; }));
}

}  // namespace

double schedule_factor(const ScheduleSpec& schedule, std::uint64_t step, std::uint64_t total) {
  double factor = 1;
  if (schedule.name == "linear") {
    const double passed = progress(schedule, step, total);
    factor = (1 - passed) + passed * schedule.final;
  } else if (schedule.name == "cosine") {
    factor = schedule.final + (1 - schedule.final) * half_cosine(progress(schedule, step, total));
  } else if (schedule.name == "step") {
    factor = power(schedule.factor, count_cuts(schedule, step));
  }
  if (step < schedule.warmup) {
    factor *= static_cast<double>(step + 1) / static_cast<double>(schedule.warmup);
  }
  return factor;
}

}  // namespace ds::scheduler
