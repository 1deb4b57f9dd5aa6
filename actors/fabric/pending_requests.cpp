#include "actors/fabric/pending_requests.hpp"

namespace ds::fabric {

void PendingRequests::add(std::uint64_t proxy, const caf::strong_actor_ptr& sender, caf::message_id id) {
  if (!sender) return;
  std::lock_guard lock(mutex_);
  if (requests_.size() >= kMaxPending) {
    // Requests whose sender is gone wait for nothing.
    std::erase_if(requests_, [](const auto& entry) { return entry.second.sender.lock() == nullptr; });
    if (requests_.size() >= kMaxPending) return;
  }
  requests_[{sender->id(), id.request_id().integer_value()}] = {caf::weak_actor_ptr(sender.get()), id, proxy};
}

void PendingRequests::forget(caf::actor_id sender, caf::message_id id) {
  std::lock_guard lock(mutex_);
  requests_.erase({sender, id.request_id().integer_value()});
}

std::vector<PendingRequests::Request> PendingRequests::take(std::uint64_t proxy) {
  std::vector<Request> taken;
  std::lock_guard lock(mutex_);
  std::erase_if(requests_, [&](auto& entry) {
    if (entry.second.proxy != proxy) return false;
    taken.push_back(std::move(entry.second));
    return true;
  });
  return taken;
}

}  // namespace ds::fabric
