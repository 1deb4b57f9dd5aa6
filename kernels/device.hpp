#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device_error.hpp"
#include "kernels/device_reduce_tree.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::kernels {

/// Asked some thousand times a second while something waits; true: the wait ends with `cancelled`.
using GiveUp = std::function<bool()>;

/// A place in a stream's work. It is reached when all work before it is done.
using DeviceMark = std::shared_ptr<void>;

struct DeviceSend {
  std::uint32_t to = 0;
  const void* data = nullptr;
  std::size_t bytes = 0;
};

struct DeviceReceive {
  std::uint32_t from = 0;
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// Work for one GPU, done in the order in which it is put here, and the connections to other members' queues.
///
/// Used by one thread at a time. After a failure it is good for nothing but destruction, which breaks its
/// connections, so that members in the middle of a transfer fail, waits until none of its work touches any
/// memory any more, and never for another member. So destroy it in good order only once all members are done
/// with their transfers.
class DeviceQueue {
 public:
  virtual ~DeviceQueue() = default;

  /// Returns when the mark is reached. Blocks, so that nothing in the queue ever waits for work that is not
  /// its own.
  virtual DeviceResult<void> wait_for(const DeviceMark& mark, const GiveUp& give_up) = 0;
  /// Returns when all work is done.
  virtual DeviceResult<void> wait(const GiveUp& give_up) = 0;

  /// As `device_reduce_tree`.
  virtual DeviceResult<void> reduce(const TreeReduction& reduction) = 0;
  /// Between places in the GPU's memory that do not overlap.
  virtual DeviceResult<void> copy(void* to, const void* from, std::size_t bytes) = 0;

  /// What all members need to connect; one makes it and gives it to the others.
  virtual DeviceResult<std::vector<std::byte>> make_invitation() = 0;
  /// Returns when all `world_size` members have called it. Once; members have different GPUs.
  virtual DeviceResult<void> connect(std::span<const std::byte> invitation, std::uint32_t rank,
                                     std::uint32_t world_size, const GiveUp& give_up) = 0;
  /// All at once; none to or from oneself. What a member sends to another is received in the order in which
  /// it is listed, each by a part of the same size, in the transfer of the same number on both. May return
  /// before it is done; gives up while it is put into the queue.
  virtual DeviceResult<void> transfer(std::span<const DeviceSend> sends,
                                      std::span<const DeviceReceive> receives, const GiveUp& give_up) = 0;
  /// `vector` gets what it holds on member `root`. Counts as a transfer of all members.
  virtual DeviceResult<void> broadcast(void* vector, std::size_t bytes, std::uint32_t root,
                                       const GiveUp& give_up) = 0;
};

/// A GPU. Thread-safe, and leaves the calling thread's current device as it is. Outlives what it made.
class Device {
 public:
  virtual ~Device() = default;
  /// Memory on the GPU, aligned for every element, not cleared.
  virtual DeviceResult<std::shared_ptr<void>> allocate(std::size_t bytes) = 0;
  /// Between any two places, on the GPU or not; returns when it is done.
  virtual DeviceResult<void> copy(void* to, const void* from, std::size_t bytes) = 0;
  /// `stream` is this GPU's.
  virtual DeviceResult<DeviceMark> mark(DeviceStream stream) = 0;
  virtual DeviceResult<std::unique_ptr<DeviceQueue>> open_queue() = 0;
};

/// GPU `index` as `list_gpus` counts them. `unavailable` when there is none such, no driver, or when the
/// build has no CUDA.
DeviceResult<std::shared_ptr<Device>> open_device(std::uint32_t index);

/// The version of NCCL that this process has loaded, as 10000 * major + 100 * minor + patch. `unavailable`
/// when the build has none. Needs no GPU.
DeviceResult<int> nccl_version();

}  // namespace ds::kernels
