#pragma once

#include <caf/actor_control_block.hpp>
#include <caf/message_id.hpp>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace ds::fabric {

/// Requests that went to other processes and have not been answered, so that they can fail when the process
/// is lost.
///
/// Keeps their senders alive meanwhile, as the receiver's mailbox does locally. Bounded: beyond `kMaxPending`
/// requests are not tracked and fail by their own timeout. Thread-safe.
class PendingRequests {
 public:
  static constexpr std::size_t kMaxPending = 65536;

  struct Request {
    caf::strong_actor_ptr sender;
    caf::message_id id;
    std::uint64_t proxy = 0;  ///< what it was sent through
  };

  void add(std::uint64_t proxy, const caf::strong_actor_ptr& sender, caf::message_id id);
  /// The response to `id` came by, or will never.
  void forget(caf::actor_id sender, caf::message_id id);
  /// Takes out what waits for one proxy.
  std::vector<Request> take(std::uint64_t proxy);

 private:
  struct Key {
    caf::actor_id sender;
    std::uint64_t request;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const { return key.sender * 0x9e3779b97f4a7c15u ^ key.request; }
  };

  void sweep(std::vector<Request>& gone);

  std::mutex mutex_;
  std::size_t sweep_at_ = 256;
  std::unordered_map<Key, Request, Hash> requests_;
};

}  // namespace ds::fabric
