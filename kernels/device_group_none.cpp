#include "kernels/device_group.hpp"

namespace ds::kernels {
namespace {

tl::unexpected<DeviceError> failure() {
  return device_failure(DeviceError::Kind::unavailable, "GPUs can't be connected: this build has no NCCL",
                        "build with the CUDA toolkit and NCCL's header and library in place");
}

}  // namespace

DeviceResult<std::vector<std::byte>> make_group_id() {
  return failure();
}

DeviceResult<std::unique_ptr<DeviceGroup>> join_group(std::span<const std::byte>, std::uint32_t,
                                                      std::uint32_t, const GiveUp&) {
  return failure();
}

DeviceResult<int> nccl_version() {
  return failure();
}

}  // namespace ds::kernels
