#include "kernels/optimizer.hpp"

#include <algorithm>
#include <cmath>
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
struct AdamFactors {
  T keep, decay, beta1, one_minus_beta1, beta2, one_minus_beta2, correction2_root, eps, step_size;
};

template <class T>
AdamFactors<T> adam_factors(const OptimizerOptions& options, std::uint64_t step) {
  const double correction1 = 1 - power(options.beta1, step);
  const double correction2 = 1 - power(options.beta2, step);
  const bool is_decoupled = options.kind == OptimizerKind::adamw;
  return {static_cast<T>(is_decoupled ? 1 - options.lr * options.weight_decay : 1),
          static_cast<T>(is_decoupled ? 0 : options.weight_decay),
          static_cast<T>(options.beta1),
          static_cast<T>(1 - options.beta1),
          static_cast<T>(options.beta2),
          static_cast<T>(1 - options.beta2),
          static_cast<T>(std::sqrt(correction2)),
          static_cast<T>(options.eps),
          static_cast<T>(options.lr / correction1)};
}

/// `is_penalised`: the weight decay is part of the gradient. Constants, so that each loop has no branch and
/// reads no more than it needs.
template <bool is_penalised, class T>
void update_adam(T* __restrict parameters, const T* __restrict gradient, T* __restrict first_moment,
                 T* __restrict second_moment, std::size_t count, const AdamFactors<T> f) {
  for (std::size_t i = 0; i < count; ++i) {
    const T g = is_penalised ? gradient[i] + parameters[i] * f.decay : gradient[i];
    const T m = first_moment[i] * f.beta1 + g * f.one_minus_beta1;
    const T v = second_moment[i] * f.beta2 + g * g * f.one_minus_beta2;
    first_moment[i] = m;
    second_moment[i] = v;
    const T denominator = std::sqrt(v) / f.correction2_root + f.eps;
    parameters[i] = parameters[i] * f.keep - f.step_size * (m / denominator);
  }
}

template <class T>
struct SgdFactors {
  T lr, momentum, decay;
};

template <class T>
void update_sgd(T* __restrict parameters, const T* __restrict gradient, std::size_t count,
                const SgdFactors<T> f) {
  for (std::size_t i = 0; i < count; ++i) {
    const T g = gradient[i] + parameters[i] * f.decay;
    parameters[i] -= f.lr * g;
  }
}

template <bool is_nesterov, class T>
void update_momentum(T* __restrict parameters, const T* __restrict gradient, T* __restrict velocity,
                     std::size_t count, const SgdFactors<T> f) {
  for (std::size_t i = 0; i < count; ++i) {
    const T g = gradient[i] + parameters[i] * f.decay;
    const T v = velocity[i] * f.momentum + g;
    velocity[i] = v;
    parameters[i] -= f.lr * (is_nesterov ? g + f.momentum * v : v);
  }
}

template <class T>
void step_sgd(const OptimizerOptions& options, std::span<T> parameters, std::span<const T> gradient,
              std::span<const std::span<T>> state) {
  const SgdFactors<T> factors{static_cast<T>(options.lr), static_cast<T>(options.momentum),
                              static_cast<T>(options.weight_decay)};
  T* const p = parameters.data();
  const T* const g = gradient.data();
  if (state.empty()) {
    update_sgd(p, g, parameters.size(), factors);
  } else if (options.nesterov) {
    update_momentum<true>(p, g, state[0].data(), parameters.size(), factors);
  } else {
    update_momentum<false>(p, g, state[0].data(), parameters.size(), factors);
  }
}

template <class T>
void step_adam(const OptimizerOptions& options, std::uint64_t step, std::span<T> parameters,
               std::span<const T> gradient, std::span<const std::span<T>> state) {
  const AdamFactors<T> factors = adam_factors<T>(options, step);
  T* const m = state[0].data();
  T* const v = state[1].data();
  if (factors.decay != 0) {
    update_adam<true>(parameters.data(), gradient.data(), m, v, parameters.size(), factors);
  } else {
    update_adam<false>(parameters.data(), gradient.data(), m, v, parameters.size(), factors);
  }
}

template <class T>
void step_any(const OptimizerOptions& options, std::uint64_t step, std::span<T> parameters,
              std::span<const T> gradient, std::span<const std::span<T>> state) {
  const std::size_t count = parameters.size();
  const bool fits =
      gradient.size() == count && state.size() == count_state_vectors(options) &&
      std::all_of(state.begin(), state.end(), [&](std::span<T> vector) { return vector.size() == count; });
  if (!fits || step == 0) std::abort();
  if (options.kind == OptimizerKind::sgd) {
    step_sgd(options, parameters, gradient, state);
  } else {
    step_adam(options, step, parameters, gradient, state);
  }
}

}  // namespace

std::size_t count_state_vectors(const OptimizerOptions& options) {
  if (options.kind != OptimizerKind::sgd) return 2;
  return options.momentum == 0 ? 0 : 1;
}

void optimizer_step(const OptimizerOptions& options, std::uint64_t step, std::span<float> parameters,
                    std::span<const float> gradient, std::span<const std::span<float>> state) {
  step_any(options, step, parameters, gradient, state);
}

void optimizer_step(const OptimizerOptions& options, std::uint64_t step, std::span<double> parameters,
                    std::span<const double> gradient, std::span<const std::span<double>> state) {
  step_any(options, step, parameters, gradient, state);
}

}  // namespace ds::kernels
