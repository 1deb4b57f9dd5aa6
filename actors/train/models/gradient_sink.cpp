#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/gradient_sink.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/add_into.hpp"
#include "kernels/gradient.hpp"

namespace ds::train {

void GradientSink::move_to(std::span<float> memory) {
  TORCH_CHECK(memory.empty() || memory.size() == own_.size(), "memory for ", memory.size(),
              " gradients, not ", own_.size());
  all_ = memory.empty() ? own_ : memory;
  zero();
}

void GradientSink::add(std::size_t parameter, const at::Tensor& gradient) {
  if (!gradient.defined()) {  // a function without a gradient; what is told of next must be in place
    if (owed_[parameter]) std::ranges::fill(part(parameter), 0.0F);
    owed_[parameter] = false;
    return;
  }
  const at::Tensor dense = (gradient.layout() == at::kStrided ? gradient : gradient.to_dense()).contiguous();
  TORCH_CHECK(dense.scalar_type() == at::kFloat &&
                  static_cast<std::uint64_t>(dense.numel()) == slots_[parameter].size,
              "the gradient of ", slots_[parameter].name, " is ", dense.scalar_type(), dense.sizes());
  const std::span<const float> values(dense.data_ptr<float>(), slots_[parameter].size);
  if (!squares_.empty()) squares_[parameter] = kernels::squared_norm_of(values);
  if (owed_[parameter]) {
    kernels::add_to_zero(part(parameter), values);
    owed_[parameter] = false;
  } else {
    kernels::add_into(part(parameter), values);
  }
}

double GradientSink::take_squared_norm() {
  const double sum = kernels::add_in_tree(squares_);
  std::ranges::fill(squares_, 0.0);
  return sum;
}

void GradientSink::settle() {
  for (std::size_t i = 0; i < owed_.size(); ++i) {
    if (!owed_[i]) continue;
    std::ranges::fill(part(i), 0.0F);
    owed_[i] = false;
  }
}

}  // namespace ds::train
