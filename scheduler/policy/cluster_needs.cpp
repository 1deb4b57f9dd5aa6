#include "scheduler/policy/cluster_needs.hpp"

#include <algorithm>

namespace ds::scheduler {

template <class Needed>
void ClusterNeeds::take_out(ByNeed<Needed>& jobs, const Needed& needed, GangJob& job) {
  const auto found = jobs.find(needed);
  if (found == jobs.end()) return;
  found->second.erase(&job);
  if (found->second.empty()) jobs.erase(found);
}

/// For whom it makes a difference whether there is `before` or `after`.
template <class Needed>
void ClusterNeeds::find_between(const ByNeed<Needed>& jobs, const Needed& before, const Needed& after,
                                std::vector<GangJob*>& found) {
  const Needed less = std::min(before, after), more = std::max(before, after);
  for (auto one = jobs.upper_bound(less); one != jobs.end() && one->first <= more; ++one)
    found.insert(found.end(), one->second.begin(), one->second.end());
}

ClusterNeeds::Group ClusterNeeds::group_of(const GangJob& job) {
  return {job.size, job.demand.placement == PlacementRule::same_node};
}

std::uint64_t ClusterNeeds::fitting(const Group& group) const {
  const auto& [size, is_on_one] = group;
  return is_on_one ? nodes_.fitting_on_one(size, false) : nodes_.fitting(size, false);
}

bool ClusterNeeds::add(GangJob& job) {
  const auto& least = job.least_total;
  const bool is_allowed = least && least->slots <= total_.slots && least->gpus <= total_.gpus;
  if (least && least->slots > 0) by_slots_[least->slots].insert(&job);
  if (least && least->gpus > 0) by_gpus_[least->gpus].insert(&job);
  if (job.least_fitting == 0) return is_allowed;
  const auto [known, is_new] = groups_.try_emplace(group_of(job));
  Needs& needs = known->second;
  if (is_new) needs.fitting = fitting(known->first);
  needs.jobs[job.least_fitting].insert(&job);
  return is_allowed && job.least_fitting <= needs.fitting;
}

void ClusterNeeds::remove(GangJob& job) {
  if (job.least_total) {
    take_out(by_slots_, job.least_total->slots, job);
    take_out(by_gpus_, job.least_total->gpus, job);
  }
  const auto known = groups_.find(group_of(job));
  if (known == groups_.end()) return;
  take_out(known->second.jobs, job.least_fitting, job);
  if (known->second.jobs.empty()) groups_.erase(known);
}

std::vector<GangJob*> ClusterNeeds::look_again(const Room& total) {
  std::vector<GangJob*> changed;
  const Room before = std::exchange(total_, total);
  find_between(by_slots_, before.slots, total.slots, changed);
  find_between(by_gpus_, before.gpus, total.gpus, changed);
  if (std::exchange(changes_, nodes_.changes()) == nodes_.changes()) return changed;
  for (auto& [group, needs] : groups_) {
    const std::uint64_t now = fitting(group);
    find_between(needs.jobs, std::exchange(needs.fitting, now), now, changed);
  }
  return changed;
}

}  // namespace ds::scheduler
