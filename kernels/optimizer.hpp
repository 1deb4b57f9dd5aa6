#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ds::kernels {

enum class OptimizerKind {
  sgd,    ///< with momentum, plain or Nesterov's; weight decay is an L2 penalty
  adam,   ///< Kingma and Ba, ICLR 2015; weight decay is an L2 penalty
  adamw,  ///< Loshchilov and Hutter, ICLR 2019; weight decay apart from the gradient
};

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double lr = 1e-3;
  double momentum = 0;    ///< sgd
  bool nesterov = false;  ///< sgd, with momentum
  double beta1 = 0.9;     ///< adam, adamw
  double beta2 = 0.999;   ///< adam, adamw
  double eps = 1e-8;      ///< adam, adamw
  double weight_decay = 0;
  bool operator==(const OptimizerOptions&) const = default;
};

/// How many vectors of state the optimizer has, each as long as the parameters and zeros at first: none for
/// sgd without momentum, one with (the velocity), two for the others (first and second moment, in this
/// order).
std::size_t count_state_vectors(const OptimizerOptions& options);

/// One step in the order of operations of PyTorch's single-tensor optimizers (dampening, amsgrad and maximize
/// off).
///
/// `step` counts from 1. `state` has `count_state_vectors` spans; all spans have the same length and do not
/// overlap. Scalars are computed in double and rounded once to the element type; elements are independent of
/// each other, so any cut of the vectors, between threads or calls, gives the same bits. Pure apart from its
/// spans; any thread.
void optimizer_step(const OptimizerOptions& options, std::uint64_t step, std::span<float> parameters,
                    std::span<const float> gradient, std::span<const std::span<float>> state);
void optimizer_step(const OptimizerOptions& options, std::uint64_t step, std::span<double> parameters,
                    std::span<const double> gradient, std::span<const std::span<double>> state);

}  // namespace ds::kernels
