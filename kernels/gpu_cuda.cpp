#include <cuda_runtime_api.h>

#include "kernels/gpu.hpp"

namespace ds::kernels {

std::vector<Gpu> list_gpus() {
  int count = 0;
  // Also fails when there is no driver or it is older than the toolkit: then no GPU can be used.
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  std::vector<Gpu> gpus;
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) continue;
    gpus.push_back({static_cast<std::uint32_t>(device), properties.name, properties.totalGlobalMem});
  }
  cudaGetLastError();  // an error that was reported here must not surface in somebody's next call
  return gpus;
}

}  // namespace ds::kernels
