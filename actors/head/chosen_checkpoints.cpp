#include "actors/head/chosen_checkpoints.hpp"

namespace ds::head {

void ChosenCheckpoints::hold(const std::string& job, std::uint64_t step) {
  const std::lock_guard lock(mutex_);
  steps_[job].insert(step);
}

void ChosenCheckpoints::release(const std::string& job, std::uint64_t step) {
  const std::lock_guard lock(mutex_);
  const auto found = steps_.find(job);
  if (found == steps_.end()) return;
  const auto held = found->second.find(step);
  if (held != found->second.end()) found->second.erase(held);
  if (found->second.empty()) steps_.erase(found);
}

std::vector<std::uint64_t> ChosenCheckpoints::of(const std::string& job) const {
  const std::lock_guard lock(mutex_);
  const auto found = steps_.find(job);
  if (found == steps_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

}  // namespace ds::head
