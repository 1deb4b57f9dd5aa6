#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ds::kernels {

/// A GPU of this machine that this process may use.
struct Gpu {
  std::uint32_t index = 0;  ///< as `CUDA_VISIBLE_DEVICES` of a child of this process would count it
  std::string name;
  std::uint64_t memory_bytes = 0;
  bool operator==(const Gpu&) const = default;
};

/// The GPUs there are. Empty when there is none, no driver, or the build has no CUDA: none of these is an
/// error.
///
/// Creates no context on a device, but initialises the CUDA driver, which does not survive a `fork` without
/// `exec`. Takes up to seconds the first time; any thread.
std::vector<Gpu> list_gpus();

}  // namespace ds::kernels
