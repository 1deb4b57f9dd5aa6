#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/infer/compute_device.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>

#include "actors/train/models/torch_process.hpp"

namespace torch::jit {
/// Libtorch exports it and installs no header that has it.
void overrideCanFuseOnGPU(bool value);
}  // namespace torch::jit

namespace ds::infer {
namespace {

constexpr const char* kBuild =
    "build ds against a libtorch with CUDA: Debian 13's libtorch-cuda-dev (contrib), or PyTorch's own with "
    "cmake -DCMAKE_PREFIX_PATH=$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')";

/// None: no device has such a name.
std::optional<at::Device> parse_device(std::string_view name) {
  constexpr std::string_view kCuda = "cuda";
  if (name == "cpu") return at::Device(at::kCPU);
  if (name == kCuda) return at::Device(at::kCUDA, 0);
  if (!name.starts_with(kCuda) || name.size() < kCuda.size() + 2 || name[kCuda.size()] != ':') return {};
  const std::string_view digits = name.substr(kCuda.size() + 1);
  std::uint8_t number = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault != std::errc() || end != digits.data() + digits.size() || number > 63) return {};
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(number));
}

/// Libtorch would write and compile kernels of its own for each new shape, while a request waits.
void prepare_gpus() {
  torch::jit::overrideCanFuseOnGPU(false);
  at::globalContext().setAllowTF32CuDNN(false);
}

}  // namespace

Result<ComputeDevice> ComputeDevice::open(const std::string& name) {
  const auto device = parse_device(name);
  if (!device) {
    return fail(ErrorCode::invalid_argument, fmt::format("there is no device \"{}\"", name),
                "say cpu, cuda or cuda:N");
  }
  if (device->is_cpu()) return ComputeDevice(*device);
  if (!c10::impl::hasDeviceGuardImpl(at::kCUDA)) {
    return fail(ErrorCode::unsupported,
                fmt::format("device {}: the libtorch that this program was built with has no CUDA", name),
                kBuild);
  }
  const int there = c10::impl::getDeviceGuardImpl(at::kCUDA)->deviceCount();
  if (device->index() >= there) {
    return fail(
        ErrorCode::unavailable, fmt::format("device {}: CUDA shows this process {} GPUs", name, there),
        "look at nvidia-smi, CUDA_VISIBLE_DEVICES and whether the driver is as new as libtorch's CUDA");
  }
  prepare_gpus();
  const auto computes =
      train::guarded(fmt::format("device {}: the GPU does not compute", name), ErrorCode::unavailable,
                     [&]() -> Result<void> {
                       static_cast<void>(at::ones({1}, at::TensorOptions().device(*device)).to(at::kCPU));
                       return {};
                     });
  if (!computes) return tl::unexpected(computes.error());
  return ComputeDevice(*device);
}

at::Tensor ComputeDevice::make_host_tensor(at::IntArrayRef shape, at::ScalarType type) const {
  return at::empty(shape, at::TensorOptions().dtype(type).pinned_memory(is_gpu()));
}

at::Tensor ComputeDevice::take_over(const at::Tensor& host) const {
  return is_gpu() ? host.to(device_, /*non_blocking=*/true) : host;
}

std::vector<at::Tensor> ComputeDevice::bring_back(const std::vector<at::Tensor>& tensors) const {
  std::vector<at::Tensor> host;
  host.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) {
    if (tensor.is_cpu()) {
      host.push_back(tensor.contiguous());
      continue;
    }
    host.push_back(make_host_tensor(tensor.sizes(), tensor.scalar_type()));
    // Blocks. Of a copy that doesn't, page-locked memory notes the stream, and freeing it throws, from a
    // destructor, once the GPU's context is broken.
    host.back().copy_(tensor, /*non_blocking=*/false);
  }
  return host;
}

void ComputeDevice::wait() const {
  c10::impl::VirtualGuardImpl(device_.type()).getStream(device_).synchronize();
}

bool ComputeDevice::is_usable() const noexcept {
  if (!is_gpu()) return true;
  try {
    wait();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace ds::infer
