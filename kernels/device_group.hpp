#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device.hpp"

namespace ds::kernels {

/// Connections between GPUs of several members: NCCL, behind a face without its types. Used by one thread at
/// a time, whose current device is the group's. What travels is neither encrypted nor authenticated.
class DeviceGroup {
 public:
  /// Ends what is in flight; waits for no other member.
  virtual ~DeviceGroup() = default;

  /// As in `DeviceQueue`, on `stream`.
  virtual DeviceResult<void> transfer(std::span<const DeviceSend> sends,
                                      std::span<const DeviceReceive> receives, DeviceStream stream,
                                      const GiveUp& give_up) = 0;
  virtual DeviceResult<void> broadcast(void* vector, std::size_t bytes, std::uint32_t root,
                                       DeviceStream stream, const GiveUp& give_up) = 0;
  /// Fails once a connection has.
  virtual DeviceResult<void> check() = 0;
};

DeviceResult<std::vector<std::byte>> make_group_id();
DeviceResult<std::unique_ptr<DeviceGroup>> join_group(std::span<const std::byte> id, std::uint32_t rank,
                                                      std::uint32_t world_size, const GiveUp& give_up);

}  // namespace ds::kernels
