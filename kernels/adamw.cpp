#include "kernels/adamw.hpp"

#include <cmath>
#include <cstddef>
#include <cstdlib>

namespace ds::kernels {
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

/// What a step multiplies and adds, the same for every element.
template <class T>
struct Factors {
  T decay, beta1, one_minus_beta1, beta2, one_minus_beta2, correction2_root, eps, step_size;
};

template <class T>
Factors<T> factors_of(const AdamwOptions& options, std::uint64_t step) {
  const double correction1 = 1 - power(options.beta1, step);
  const double correction2 = 1 - power(options.beta2, step);
  return {static_cast<T>(1 - options.lr * options.weight_decay),
          static_cast<T>(options.beta1),
          static_cast<T>(1 - options.beta1),
          static_cast<T>(options.beta2),
          static_cast<T>(1 - options.beta2),
          static_cast<T>(std::sqrt(correction2)),
          static_cast<T>(options.eps),
          static_cast<T>(options.lr / correction1)};
}

template <class T>
void update(T* __restrict parameters, const T* __restrict gradient, T* __restrict first_moment,
            T* __restrict second_moment, std::size_t count, const Factors<T> f) {
  for (std::size_t i = 0; i < count; ++i) {
    const T g = gradient[i];
    const T m = first_moment[i] * f.beta1 + g * f.one_minus_beta1;
    const T v = second_moment[i] * f.beta2 + g * g * f.one_minus_beta2;
    first_moment[i] = m;
    second_moment[i] = v;
    const T denominator = std::sqrt(v) / f.correction2_root + f.eps;
    parameters[i] = parameters[i] * f.decay - f.step_size * (m / denominator);
  }
}

template <class T>
void step_spans(std::span<T> parameters, std::span<const T> gradient, std::span<T> first_moment,
                std::span<T> second_moment, const AdamwOptions& options, std::uint64_t step) {
  const std::size_t count = parameters.size();
  const bool fits = gradient.size() == count && first_moment.size() == count && second_moment.size() == count;
  if (!fits || step == 0) std::abort();
  update(parameters.data(), gradient.data(), first_moment.data(), second_moment.data(), count,
         factors_of<T>(options, step));
}

}  // namespace

void adamw_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> first_moment,
                std::span<float> second_moment, const AdamwOptions& options, std::uint64_t step) {
  step_spans(parameters, gradient, first_moment, second_moment, options, step);
}

void adamw_step(std::span<double> parameters, std::span<const double> gradient,
                std::span<double> first_moment, std::span<double> second_moment, const AdamwOptions& options,
                std::uint64_t step) {
  step_spans(parameters, gradient, first_moment, second_moment, options, step);
}

}  // namespace ds::kernels
