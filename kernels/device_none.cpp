#include "kernels/device.hpp"

namespace ds::kernels {
namespace {

tl::unexpected<DeviceError> failure() {
  return device_failure(DeviceError::Kind::unavailable, "no GPU can be used: this build has no CUDA",
                        "build with a CUDA toolkit in place and DS_CUDA on, or leave GPUs out");
}

}  // namespace

DeviceResult<void> device_reduce_tree(const TreeReduction&, DeviceStream) {
  return failure();
}

DeviceResult<std::shared_ptr<Device>> open_device(std::uint32_t) {
  return failure();
}

}  // namespace ds::kernels
