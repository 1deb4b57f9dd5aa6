#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/half_precision.hpp"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

namespace ds::train {
namespace {

/// Asked before autograd, and used by nothing of torch's own.
constexpr c10::DispatchKey kRounding = c10::DispatchKey::TESTING_ONLY_GenericMode;

void round_last(torch::jit::Stack& stack, std::size_t count) {
  for (std::size_t i = stack.size() - count; i < stack.size(); ++i) {
    if (!stack[i].isTensor()) continue;
    const at::Tensor& exact = stack[i].toTensor();
    // Both conversions are seen by autograd, whose gradients take the same way back.
    if (exact.defined() && exact.scalar_type() == at::kFloat) stack[i] = exact.to(at::kHalf).to(at::kFloat);
  }
}

void compute_rounded(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard once(kRounding);  // not again for what it is made of
  round_last(*stack, operation.schema().arguments().size());
  operation.callBoxed(stack);
  round_last(*stack, operation.schema().returns().size());
}

/// A plugin may bring this file along with what it uses of ours, as linkers see fit: torch takes it once.
const bool is_first = !c10::Dispatcher::singleton().hasBackendFallbackForDispatchKey(kRounding);

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, library) {
  if (is_first) library.fallback(torch::CppFunction::makeFallthrough());
}

// What torch's autocast computes in a lower precision.
TORCH_LIBRARY_IMPL(aten, TESTING_ONLY_GenericMode, library) {
  if (!is_first) return;
  for (const char* name : {"linear",
                           "matmul",
                           "mm",
                           "mv",
                           "bmm",
                           "addmm",
                           "addmv",
                           "addr",
                           "addbmm",
                           "baddbmm",
                           "conv1d",
                           "conv1d.padding",
                           "conv2d",
                           "conv2d.padding",
                           "conv3d",
                           "conv3d.padding",
                           "conv_tbc",
                           "convolution",
                           "conv_transpose1d",
                           "conv_transpose2d.input",
                           "conv_transpose3d.input",
                           "_convolution"}) {
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&compute_rounded>());
  }
}

}  // namespace

struct HalfPrecision::Switch {
  c10::impl::IncludeDispatchKeyGuard guard{kRounding};
};

HalfPrecision::HalfPrecision(bool on) : switch_(on ? std::make_unique<Switch>() : nullptr) {}

HalfPrecision::~HalfPrecision() = default;

}  // namespace ds::train
