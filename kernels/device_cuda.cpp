#include <cuda_runtime_api.h>

#include <string>

#include "kernels/device.hpp"
#include "kernels/device_group.hpp"
#include "kernels/device_poll.hpp"

namespace ds::kernels {
namespace {

tl::unexpected<DeviceError> failure(int device, const char* doing, cudaError_t error) {
  cudaGetLastError();  // must not surface in somebody's next call
  auto kind = DeviceError::Kind::failed;
  std::string hint;
  if (error == cudaErrorMemoryAllocation) {
    kind = DeviceError::Kind::out_of_memory;
  } else if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ||
             error == cudaErrorInvalidDevice) {
    kind = DeviceError::Kind::unavailable;
    hint = "nvidia-smi shows the GPUs and the driver; CUDA_VISIBLE_DEVICES hides GPUs";
  }
  return device_failure(
      kind, "GPU " + std::to_string(device) + ": could not " + doing + ": " + cudaGetErrorString(error),
      std::move(hint));
}

DeviceResult<void> checked(int device, const char* doing, cudaError_t error) {
  if (error != cudaSuccess) return failure(device, doing, error);
  return {};
}

/// Makes a GPU the thread's current one for as long as it lives.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    error_ = cudaGetDevice(&before_);
    if (error_ != cudaSuccess || before_ == device) return;
    error_ = cudaSetDevice(device);
    changed_ = error_ == cudaSuccess;
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() {
    if (changed_) cudaSetDevice(before_);
  }

  cudaError_t error() const { return error_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaError_t error_ = cudaSuccess;
};

class CudaQueue final : public DeviceQueue {
 public:
  CudaQueue(int device, cudaStream_t stream) : device_(device), stream_(stream) {}
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;
  ~CudaQueue() override {
    const OnDevice here(device_);
    group_.reset();  // ends its kernels, for which the stream would wait for ever when a member is gone
    cudaStreamSynchronize(stream_);
    cudaStreamDestroy(stream_);
  }

  DeviceResult<void> wait_for(const DeviceMark& mark, const GiveUp& give_up) override {
    const OnDevice here(device_);
    auto* const event = static_cast<cudaEvent_t>(mark.get());
    return poll_until(give_up, [&] { return is_done("do the work before", cudaEventQuery(event)); });
  }

  DeviceResult<void> wait(const GiveUp& give_up) override {
    const OnDevice here(device_);
    return poll_until(give_up, [&]() -> DeviceResult<bool> {
      DeviceResult<bool> done = is_done("finish its work", cudaStreamQuery(stream_));
      if (!done || *done || !group_) return done;
      // A lost connection leaves the stream waiting.
      return group_->check().map([] { return false; });
    });
  }

  DeviceResult<void> reduce(const TreeReduction& reduction) override {
    const OnDevice here(device_);
    return device_reduce_tree(reduction, {stream_});
  }

  DeviceResult<void> copy(void* to, const void* from, std::size_t bytes) override {
    const OnDevice here(device_);
    return checked(device_, "copy", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_));
  }

  DeviceResult<std::vector<std::byte>> make_invitation() override {
    const OnDevice here(device_);
    return make_group_id();
  }

  DeviceResult<void> connect(std::span<const std::byte> invitation, std::uint32_t rank,
                             std::uint32_t world_size, const GiveUp& give_up) override {
    const OnDevice here(device_);
    return join_group(invitation, rank, world_size, give_up).map([&](std::unique_ptr<DeviceGroup>&& group) {
      group_ = std::move(group);
    });
  }

  DeviceResult<void> transfer(std::span<const DeviceSend> sends, std::span<const DeviceReceive> receives,
                              const GiveUp& give_up) override {
    if (sends.empty() && receives.empty()) return {};
    if (!group_) return not_connected();
    const OnDevice here(device_);
    return group_->transfer(sends, receives, {stream_}, give_up);
  }

  DeviceResult<void> broadcast(void* vector, std::size_t bytes, std::uint32_t root,
                               const GiveUp& give_up) override {
    if (!group_) return not_connected();
    const OnDevice here(device_);
    return group_->broadcast(vector, bytes, root, {stream_}, give_up);
  }

 private:
  DeviceResult<bool> is_done(const char* doing, cudaError_t state) const {
    if (state == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    return checked(device_, doing, state).map([] { return true; });
  }

  DeviceResult<void> not_connected() const {
    return device_failure(DeviceError::Kind::failed,
                          "GPU " + std::to_string(device_) + " is not connected to others");
  }

  const int device_;
  cudaStream_t stream_;
  std::unique_ptr<DeviceGroup> group_;
};

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int device) : device_(device) {}

  DeviceResult<std::shared_ptr<void>> allocate(std::size_t bytes) override {
    if (bytes == 0) return std::shared_ptr<void>();
    const OnDevice here(device_);
    if (here.error() != cudaSuccess) return failure(device_, "use it", here.error());
    void* memory = nullptr;
    return checked(device_, "allocate memory", cudaMalloc(&memory, bytes)).map([&] {
      return std::shared_ptr<void>(memory, [device = device_](void* mine) {
        const OnDevice there(device);
        cudaFree(mine);
      });
    });
  }

  DeviceResult<void> copy(void* to, const void* from, std::size_t bytes) override {
    const OnDevice here(device_);
    if (here.error() != cudaSuccess) return failure(device_, "use it", here.error());
    if (bytes == 0) return {};
    if (const cudaError_t copied = cudaMemcpy(to, from, bytes, cudaMemcpyDefault); copied != cudaSuccess)
      return failure(device_, "copy", copied);
    // A copy within the GPU may return early.
    return checked(device_, "copy", cudaStreamSynchronize(nullptr));
  }

  DeviceResult<DeviceMark> mark(DeviceStream stream) override {
    const OnDevice here(device_);
    if (here.error() != cudaSuccess) return failure(device_, "use it", here.error());
    cudaEvent_t event = nullptr;
    const cudaError_t made = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    if (made != cudaSuccess) return failure(device_, "mark a stream", made);
    DeviceMark mark(event, [](void* mine) { cudaEventDestroy(static_cast<cudaEvent_t>(mine)); });
    return checked(device_, "mark a stream", cudaEventRecord(event, static_cast<cudaStream_t>(stream.handle)))
        .map([&] { return std::move(mark); });
  }

  DeviceResult<std::unique_ptr<DeviceQueue>> open_queue() override {
    const OnDevice here(device_);
    if (here.error() != cudaSuccess) return failure(device_, "use it", here.error());
    cudaStream_t stream = nullptr;
    // Not one that the default stream holds up.
    const cudaError_t made = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (made != cudaSuccess) return failure(device_, "open a stream", made);
    return std::make_unique<CudaQueue>(device_, stream);
  }

 private:
  const int device_;
};

}  // namespace

DeviceResult<std::shared_ptr<Device>> open_device(std::uint32_t index) {
  const int device = static_cast<int>(index);
  int count = 0;
  if (const cudaError_t counted = cudaGetDeviceCount(&count); counted != cudaSuccess)
    return failure(device, "find any GPU", counted);
  if (device < 0 || device >= count) return failure(device, "be found", cudaErrorInvalidDevice);
  return std::make_shared<CudaDevice>(device);
}

}  // namespace ds::kernels
