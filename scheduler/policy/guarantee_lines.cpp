#include "scheduler/policy/guarantee_lines.hpp"

#include <algorithm>
#include <utility>

#include "scheduler/policy/guarantees.hpp"

namespace ds::scheduler {

GuaranteeLines::GuaranteeLines(const TenantTree& tenants)
    : tenants_(tenants), leaves_(tenants.queues.size()), tenant_of_(tenants.queues.size(), 0) {
  for (std::size_t queue = 1; queue < tenants.queues.size(); ++queue) {
    const std::size_t parent = tenants[queue].parent;
    if (parent == TenantTree::kRoot) all_.emplace_back();
    tenant_of_[queue] = parent == TenantTree::kRoot ? all_.size() - 1 : tenant_of_[parent];
    all_[tenant_of_[queue]].queues.push_back(queue);
  }
}

bool GuaranteeLines::Removed::is_same(const GangJob& job) const {
  return id == job.demand.job && queue == job.queue && order == job.demand.order &&
         priority == job.demand.priority && has_promise == job.demand.has_promise && claim == job.claim;
}

/// Behind the first that the guarantee is not enough for, as of the last count. Without that one, or where
/// there was none, all make a difference.
bool GuaranteeLines::makes_no_difference(const GangJob& job) const {
  const GangJob* first = leaves_[job.queue].first_beyond;
  return !job.claim.kept && first != nullptr && GangJob::Before()(first, &job);
}

void GuaranteeLines::add(GangJob& job) {
  if (job.queue == TenantTree::kRoot) return;
  Leaf& leaf = leaves_[job.queue];
  if (job.claim.minimum) leaf.line.insert(&job);
  if (job.claim.kept) leaf.keepers.insert(&job);
  if ((!job.claim.minimum && !job.claim.kept) || makes_no_difference(job)) return;
  const auto removed = removed_.find(&job);
  if (removed == removed_.end() || !removed->second.is_same(job))
    return void(changed_.insert(tenant_of_[job.queue]));
  job.guaranteed_levels = removed->second.levels;
  if (job.guaranteed_levels > 0) all_[tenant_of_[job.queue]].guaranteed.push_back(&job);
  if (removed->second.is_first_beyond) leaf.first_beyond = &job;
  removed_.erase(removed);
}

void GuaranteeLines::remove(GangJob& job) {
  if (job.queue == TenantTree::kRoot || (!job.claim.minimum && !job.claim.kept)) return;
  Leaf& leaf = leaves_[job.queue];
  leaf.line.erase(&job);
  leaf.keepers.erase(&job);
  if (makes_no_difference(job)) return;
  const bool is_first_beyond = leaf.first_beyond == &job;
  if (is_first_beyond) leaf.first_beyond = nullptr;
  const auto [known, is_first] = removed_.try_emplace(&job);
  // Another's that was there, or the same in another queue: its going is not forgotten.
  if (!is_first) changed_.insert(tenant_of_[known->second.queue]);
  known->second = {job.demand.job,         job.queue, job.demand.order,      job.demand.priority,
                   job.demand.has_promise, job.claim, job.guaranteed_levels, is_first_beyond};
  if (job.guaranteed_levels > 0) std::erase(all_[tenant_of_[job.queue]].guaranteed, &job);
  job.guaranteed_levels = 0;
}

void GuaranteeLines::count(const std::function<void(GangJob&)>& look_at) {
  for (const auto& [job, one] : std::exchange(removed_, {})) changed_.insert(tenant_of_[one.queue]);
  for (const std::size_t which : std::exchange(changed_, {})) {
    Tenant& tenant = all_[which];
    const auto before = std::exchange(tenant.guaranteed, {});
    for (GangJob* job : before) job->guaranteed_levels = 0;
    count(tenant);
    for (GangJob* job : before) look_at(*job);
    for (GangJob* job : tenant.guaranteed) look_at(*job);
  }
}

void GuaranteeLines::count(Tenant& tenant) {
  std::vector<ClaimLine<Jobs::const_iterator>> lines;
  std::vector<std::vector<KeptRoom<GangJob>>> kept(tenant.queues.size());
  for (std::size_t at = 0; at < tenant.queues.size(); ++at) {
    const std::size_t queue = tenant.queues[at];
    const Leaf& leaf = leaves_[queue];
    lines.push_back({leaf.line.begin(), leaf.line.end()});
    for (GangJob* job : leaf.keepers) kept[at].push_back({job, queue, *job->claim.kept});
  }
  for_each_guaranteed(
      tenants_, tenant.queues, lines, std::move(kept), GangJob::Before(),
      [](const GangJob& job) { return *job.claim.minimum; },
      [&](GangJob& job, std::size_t levels, bool is_kept) {
        if (is_kept && !job.claim.is_all_kept) return;  // its minimum is more than it keeps
        job.guaranteed_levels = levels;
        tenant.guaranteed.push_back(&job);
      });
  for (std::size_t at = 0; at < tenant.queues.size(); ++at)
    leaves_[tenant.queues[at]].first_beyond = lines[at].next == lines[at].end ? nullptr : *lines[at].next;
}

}  // namespace ds::scheduler
