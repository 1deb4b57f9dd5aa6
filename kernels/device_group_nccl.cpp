#include <nccl.h>

#include <cstring>
#include <string>

#include "kernels/device_group.hpp"
#include "kernels/device_poll.hpp"

namespace ds::kernels {
namespace {

tl::unexpected<DeviceError> failure(const char* doing, ncclResult_t result, ncclComm_t communicator) {
  const bool gone = result == ncclRemoteError;
  const char* detail = ncclGetLastError(communicator);
  std::string message = std::string("NCCL could not ") + doing + ": " + ncclGetErrorString(result);
  if (detail != nullptr && *detail != '\0') message += std::string(" (") + detail + ")";
  return device_failure(gone ? DeviceError::Kind::unavailable : DeviceError::Kind::failed, std::move(message),
                        "NCCL_DEBUG=WARN in the environment makes NCCL say more");
}

bool is_failure(ncclResult_t result) {
  return result != ncclSuccess && result != ncclInProgress;
}

/// A communicator that never blocks: calls begin something, and then its state is asked for until it has
/// happened. So whoever waits can give up, which a blocking one does not allow.
class NcclGroup final : public DeviceGroup {
 public:
  NcclGroup() = default;
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;
  // Not ncclCommFinalize and ncclCommDestroy, which wait until other members do the same.
  ~NcclGroup() override {
    if (communicator_ != nullptr) ncclCommAbort(communicator_);
  }

  DeviceResult<void> join(const ncclUniqueId& id, std::uint32_t rank, std::uint32_t world_size,
                          const GiveUp& give_up) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t begun = ncclCommInitRankConfig(&communicator_, static_cast<int>(world_size), id,
                                                      static_cast<int>(rank), &config);
    if (is_failure(begun)) return failure("connect", begun, nullptr);
    return settle("connect", give_up);
  }

  DeviceResult<void> transfer(std::span<const DeviceSend> sends, std::span<const DeviceReceive> receives,
                              DeviceStream stream, const GiveUp& give_up) override {
    auto* const on = static_cast<cudaStream_t>(stream.handle);
    ncclResult_t result = ncclGroupStart();
    if (is_failure(result)) return failure("begin a transfer", result, communicator_);
    for (const DeviceSend& send : sends) {
      if (is_failure(result)) break;
      result = ncclSend(send.data, send.bytes, ncclInt8, static_cast<int>(send.to), communicator_, on);
    }
    for (const DeviceReceive& receive : receives) {
      if (is_failure(result)) break;
      result =
          ncclRecv(receive.data, receive.bytes, ncclInt8, static_cast<int>(receive.from), communicator_, on);
    }
    const ncclResult_t ended = ncclGroupEnd();  // also after a failure, for the thread remembers the group
    if (!is_failure(result)) result = ended;
    if (is_failure(result)) return failure("transfer", result, communicator_);
    return settle("transfer", give_up);
  }

  DeviceResult<void> broadcast(void* vector, std::size_t bytes, std::uint32_t root, DeviceStream stream,
                               const GiveUp& give_up) override {
    const ncclResult_t begun = ncclBroadcast(vector, vector, bytes, ncclInt8, static_cast<int>(root),
                                             communicator_, static_cast<cudaStream_t>(stream.handle));
    if (is_failure(begun)) return failure("broadcast", begun, communicator_);
    return settle("broadcast", give_up);
  }

  DeviceResult<void> check() override {
    return is_settled("transfer").map([](bool) {});
  }

 private:
  DeviceResult<bool> is_settled(const char* doing) {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(communicator_, &state);
    if (is_failure(asked)) return failure(doing, asked, communicator_);
    if (is_failure(state)) return failure(doing, state, communicator_);
    return state == ncclSuccess;
  }

  /// Until the last call has happened; its work in the stream may still be to come.
  DeviceResult<void> settle(const char* doing, const GiveUp& give_up) {
    return poll_until(give_up, [&] { return is_settled(doing); });
  }

  ncclComm_t communicator_ = nullptr;
};

}  // namespace

DeviceResult<std::vector<std::byte>> make_group_id() {
  ncclUniqueId id{};
  const ncclResult_t made = ncclGetUniqueId(&id);
  if (made != ncclSuccess) return failure("open a listener", made, nullptr);
  const auto bytes = std::as_bytes(std::span(id.internal));
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

DeviceResult<std::unique_ptr<DeviceGroup>> join_group(std::span<const std::byte> id, std::uint32_t rank,
                                                      std::uint32_t world_size, const GiveUp& give_up) {
  ncclUniqueId nccl_id{};
  if (id.size() != sizeof nccl_id.internal)
    return device_failure(DeviceError::Kind::failed, "an invitation to a group of GPUs is not one");
  std::memcpy(nccl_id.internal, id.data(), id.size());
  auto group = std::make_unique<NcclGroup>();
  return group->join(nccl_id, rank, world_size, give_up).map([&]() -> std::unique_ptr<DeviceGroup> {
    return std::move(group);
  });
}

DeviceResult<int> nccl_version() {
  int version = 0;
  const ncclResult_t got = ncclGetVersion(&version);
  if (got != ncclSuccess) return failure("tell its version", got, nullptr);
  return version;
}

}  // namespace ds::kernels
