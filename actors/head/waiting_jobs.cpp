#include "actors/head/waiting_jobs.hpp"

#include <ranges>

namespace ds::head {

void WaitingJobs::wait(const std::string& job, std::uint64_t order, const std::string& held_by) {
  remove(order);
  if (held_by.empty()) {
    for_room_.emplace(order, job);
  } else {
    held_.emplace(order, held_by);
    ++counts_[held_by];
  }
}

void WaitingJobs::remove(std::uint64_t order) {
  for_room_.erase(order);
  const auto held = held_.find(order);
  if (held == held_.end()) return;
  const auto count = counts_.find(held->second);
  if (--count->second == 0) counts_.erase(count);
  held_.erase(held);
}

std::vector<std::string> WaitingJobs::first_for_room(std::size_t most) const {
  std::vector<std::string> jobs;
  for (const auto& [order, job] : for_room_ | std::views::take(most)) jobs.push_back(job);
  return jobs;
}

}  // namespace ds::head
