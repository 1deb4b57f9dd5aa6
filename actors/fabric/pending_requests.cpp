#include "actors/fabric/pending_requests.hpp"

#include <caf/abstract_actor.hpp>

namespace ds::fabric {

// Moves out the requests whose sender has ended and waits for nothing any more.
void PendingRequests::sweep(std::vector<Request>& gone) {
  std::erase_if(requests_, [&](auto& entry) {
    const bool ended = entry.second.sender->get()->getf(caf::abstract_actor::is_terminated_flag);
    if (ended) gone.push_back(std::move(entry.second));
    return ended;
  });
  sweep_at_ = 2 * requests_.size() + 256;
}

void PendingRequests::add(std::uint64_t proxy, const caf::strong_actor_ptr& sender, caf::message_id id) {
  if (!sender) return;
  std::vector<Request> gone;  // dropped after the lock: an actor's end may run anything
  std::lock_guard lock(mutex_);
  if (requests_.size() >= sweep_at_) sweep(gone);
  if (requests_.size() >= kMaxPending) return;
  requests_[{sender->id(), id.request_id().integer_value()}] = {sender, id, proxy};
}

void PendingRequests::forget(caf::actor_id sender, caf::message_id id) {
  decltype(requests_)::node_type gone;
  std::lock_guard lock(mutex_);
  gone = requests_.extract({sender, id.request_id().integer_value()});
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
