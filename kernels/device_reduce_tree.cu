#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "kernels/device_reduce_tree.hpp"
#include "kernels/tree_program.hpp"

namespace ds::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::size_t kMaxBlocks = 1U << 20U;  // more elements than that many threads: several a thread

/// The operator is looked up while running, for memory is what takes the time: six kernels instead of 24.
template <class Element, class Accumulator>
__global__ void __launch_bounds__(kThreads) evaluate(const __grid_constant__ TreeProgram program) {
  const std::size_t threads = std::size_t{gridDim.x} * kThreads;
  for (std::size_t at = std::size_t{blockIdx.x} * kThreads + threadIdx.x; at < program.elements;
       at += threads)
    evaluate_element<Element, Accumulator>(program, at);
}

template <class Element, class Accumulator>
cudaError_t launch(TreeProgram& program, cudaStream_t stream) {
  const std::size_t blocks = std::min((program.elements + kThreads - 1) / kThreads, kMaxBlocks);
  void* arguments[] = {&program};
  return cudaLaunchKernel(evaluate<Element, Accumulator>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads),
                          arguments, 0, stream);
}

cudaError_t launch(ElementType type, TreeProgram& program, cudaStream_t stream) {
  switch (type) {
    case ElementType::float32:
      return launch<float, float>(program, stream);
    case ElementType::float64:
      return launch<double, double>(program, stream);
    case ElementType::bfloat16:
      return launch<BFloat16, float>(program, stream);
    case ElementType::float16:
      return launch<Float16, float>(program, stream);
    case ElementType::int32:
      return launch<std::int32_t, std::int32_t>(program, stream);
    case ElementType::int64:
      return launch<std::int64_t, std::int64_t>(program, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace

DeviceResult<void> device_reduce_tree(const TreeReduction& reduction, DeviceStream stream) {
  std::optional<TreeProgram> program = to_program(reduction);
  if (!program) {
    return device_failure(DeviceError::Kind::unsupported,
                          "a reduction of " + std::to_string(reduction.inputs.size()) + " vectors on a GPU",
                          "at most " + std::to_string(kMaxProgramInputs) + " are possible");
  }
  if (reduction.elements == 0) return {};
  const cudaError_t launched = launch(reduction.type, *program, static_cast<cudaStream_t>(stream.handle));
  if (launched == cudaSuccess) return {};
  const bool absent = launched == cudaErrorNoDevice || launched == cudaErrorInsufficientDriver;
  return device_failure(absent ? DeviceError::Kind::unavailable : DeviceError::Kind::failed,
                        std::string("a reduction on a GPU: ") + cudaGetErrorString(launched));
}

}  // namespace ds::kernels
