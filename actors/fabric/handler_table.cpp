#include "actors/fabric/handler_table.hpp"

#include <vector>

namespace ds::fabric {

void HandlerTable::set_on_frame(Channel channel, Transport::OnFrame handler) {
  std::unique_lock lock(frame_mutex_);
  on_frame_[channel] = std::move(handler);
}

std::uint64_t HandlerTable::add_on_lost(Transport::OnLost handler) {
  std::lock_guard lock(mutex_);
  on_lost_[next_token_] = std::make_shared<Transport::OnLost>(std::move(handler));
  return next_token_++;
}

void HandlerTable::remove_on_lost(std::uint64_t token) {
  std::lock_guard lock(mutex_);
  on_lost_.erase(token);
}

bool HandlerTable::deliver(Channel channel, const ProcessAddress& from, Transport::Parts parts) const {
  std::shared_lock lock(frame_mutex_);
  auto found = on_frame_.find(channel);
  if (found == on_frame_.end() || !found->second) return false;
  found->second(from, std::move(parts));
  return true;
}

void HandlerTable::report_lost(const ProcessAddress& peer, const Error& why) {
  std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> tokens;
  for (const auto& entry : on_lost_) tokens.push_back(entry.first);
  for (std::uint64_t token : tokens) {
    auto found = on_lost_.find(token);
    if (found == on_lost_.end()) continue;
    auto handler = found->second;
    (*handler)(peer, why);
  }
}

}  // namespace ds::fabric
