// What jobs have and want, kept from plan to plan.
#include "scheduler/policy/gang_planner.hpp"

#include <algorithm>
#include <limits>

namespace ds::scheduler {
namespace {

GangPlanner::ShrinkGroup shrink_group(const GangPlanner::Job& job) {
  return {job.demand.priority, job.size, job.demand.curve != nullptr && job.demand.is_settled,
          job.demand.is_resting};
}

GangJob::PreemptGroup preempt_group(const GangJob& job) {
  return {job.filed_levels, job.demand.priority, job.demand.is_young};
}

/// Takes it out of its group; false if it is not there.
template <class Groups, class Group, class Key>
bool take_out(Groups& groups, const Group& group, const Key& key) {
  const auto found = groups.find(group);
  if (found == groups.end()) return false;
  const bool was_there = found->second.erase(key);
  if (found->second.empty()) groups.erase(found);
  return was_there;
}

}  // namespace

GangPlanner::GangPlanner(const TenantTree& tenants)
    : tenants_(tenants),
      use_nothing_(tenants, std::nullopt),
      use_now_(use_nothing_),
      use_later_(use_nothing_),
      use_minimum_(use_nothing_),
      fixed_nothing_(tenants, std::nullopt, QueueUse::Lending::nothing),
      use_fixed_(fixed_nothing_),
      use_claimed_(fixed_nothing_),
      short_(tenants.queues.size()),
      partial_(tenants.queues.size()),
      unstarted_(tenants.queues.size()),
      growable_(tenants.queues.size()),
      shrinkable_(tenants.queues.size()),
      preemptible_(tenants.queues.size()),
      guarantees_(tenants) {
  set_total();
}

void GangPlanner::change_nodes(std::vector<NodeView> changed, std::span<const std::string> gone) {
  std::set<Job*> there;
  const auto note = [&](const std::string& name) {
    const auto found = jobs_on_.find(name);
    if (found != jobs_on_.end()) there.insert(found->second.begin(), found->second.end());
  };
  for (const NodeView& node : changed) note(node.id);
  for (const std::string& name : gone) note(name);
  for (Job* job : there) remove(*job);
  for (const std::string& name : gone) remove_node(name);
  for (NodeView& node : changed) {
    remove_node(node.id);
    empty_nodes_.add(capacity_.add_node(std::move(node)));
  }
  relocatable_at_.resize(capacity_.node_count());
  set_total();
  for (Job* job : there) add(*job);
  look_at_needs();
}

/// One on which nothing is; it may be unknown.
void GangPlanner::remove_node(const std::string& name) {
  const std::size_t index = capacity_.index_of(name);
  if (index == Capacity::kUnknownNode) return;
  empty_nodes_.remove(index);
  capacity_.remove_node(name);
}

std::vector<NodeView> GangPlanner::nodes() const {
  std::vector<NodeView> nodes;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (capacity_.is_listed(node)) nodes.push_back(capacity_.node(node));
  }
  return nodes;
}

const NodeView* GangPlanner::find_node(std::string_view name) const {
  const std::size_t index = capacity_.index_of(name);
  return index == Capacity::kUnknownNode ? nullptr : &capacity_.node(index);
}

/// What available nodes have, and what leases hold elsewhere, which queues use too.
void GangPlanner::set_total() {
  for (QueueUse* use :
       {&use_nothing_, &use_now_, &use_later_, &use_minimum_, &fixed_nothing_, &use_fixed_, &use_claimed_})
    use->set_total(total_and_elsewhere());
}

void GangPlanner::set_job(const std::string& id, std::optional<Demand> demand, std::vector<Lease> leases) {
  const auto [known, is_new] = jobs_.try_emplace(id);
  std::unique_ptr<Job>& job = known->second;
  if (!is_new) remove(*job);
  if (is_new) job = std::make_unique<Job>();
  if (!demand && leases.empty()) return void(jobs_.erase(known));
  job->is_wanted = demand.has_value();
  job->demand = demand ? *std::move(demand) : Demand{};
  job->demand.job = id;
  job->leases = std::move(leases);
  add(*job);
}

std::vector<std::unique_ptr<GangPlanner::Job>> GangPlanner::take_jobs() {
  std::vector<std::unique_ptr<Job>> jobs;
  jobs.reserve(jobs_.size());
  for (auto& [id, job] : jobs_) jobs.push_back(std::move(job));
  jobs_.clear();
  return jobs;
}

ToldJob GangPlanner::told(const std::string& id) const {
  const auto known = jobs_.find(id);
  if (known == jobs_.end()) return {id, std::nullopt, {}};
  const Job& job = *known->second;
  return {id, job.is_wanted ? std::optional(job.demand) : std::nullopt, job.leases};
}

std::vector<ToldJob> GangPlanner::carry_out(const Plan& plan) {
  std::set<std::string> changed = leaving_;
  std::set<std::pair<std::string_view, std::uint64_t>> released;
  std::map<std::string_view, std::vector<const Placement*>> placed;
  for (const Release& one : plan.releases) {
    changed.insert(one.job);
    released.emplace(one.job, one.worker);
  }
  for (const Placement& one : plan.placements) {
    changed.insert(one.job);
    placed[one.job].push_back(&one);
  }
  std::vector<ToldJob> before;
  for (const std::string& id : changed) {
    const Job& job = *jobs_.at(id);
    before.push_back(told(id));
    auto leases = job.leases;
    std::erase_if(leases, [&](const Lease& lease) {
      return lease.releasing || released.contains({id, lease.worker});
    });
    std::uint64_t newest = std::numeric_limits<std::uint64_t>::max() / 2;  // than any real worker
    for (const Lease& lease : leases) newest = std::max(newest, lease.worker);
    for (const Placement* one : placed[id]) {
      for (std::uint32_t i = 0; i < one->count; ++i) {
        leases.push_back({.worker = ++newest,
                          .job = id,
                          .node = one->node,
                          .slots = job.demand.slots,
                          .memory_bytes = job.demand.memory_bytes,
                          .tenant = job.demand.tenant,
                          .queue = job.demand.queue,
                          .devices = std::vector<std::uint32_t>(job.demand.gpus)});  // their number counts
      }
    }
    set_job(id, before.back().demand, std::move(leases));
  }
  return before;
}

const GangPlanner::Job* GangPlanner::find(const std::string& job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() || !found->second->is_wanted ? nullptr : found->second.get();
}

std::size_t GangPlanner::queue_of(const std::string& tenant, const std::string& queue) const {
  return index_.find(tenant, queue).value_or(TenantTree::kRoot);
}

/// All but what was told of it is as it comes of that; it has been removed, or is new.
void GangPlanner::add(Job& job) {
  Job fresh;
  fresh.demand = std::move(job.demand);
  fresh.is_wanted = job.is_wanted;
  fresh.leases = std::move(job.leases);
  job = std::move(fresh);
  job.size = size_of(job.demand);
  job.needed = std::max<std::uint32_t>(1, job.demand.workers.min);
  const auto queue = index_.find(job.demand.tenant, job.demand.queue);
  job.has_queue = queue.has_value();
  job.queue = queue.value_or(TenantTree::kRoot);
  for (const Lease& lease : job.leases) {
    if (lease.role != Role::worker) continue;
    if (is_available(lease)) {
      job.is_occupant = true;
    } else {
      job.elsewhere = plus(job.elsewhere, room_of(size_of(lease), 1));
    }
    if (lease.releasing) continue;
    job.live.push_back(&lease);
    const std::size_t node = capacity_.index_of(lease.node);
    ++(node == Capacity::kUnknownNode ? job.at_unknown_nodes : job.at[node]);
  }
  job.started = job.workers = static_cast<std::uint32_t>(job.live.size());
  measure(job);
  std::sort(job.live.begin(), job.live.end(),
            [](const Lease* a, const Lease* b) { return a->worker > b->worker; });
  note_nodes(job, true);
  count_leases(job, true);
  if (job.is_wanted) enter(job);
  if (job.is_wanted && is_picky(job)) ++picky_;
}

void GangPlanner::remove(Job& job) {
  if (job.is_wanted) leave(job);
  if (job.is_wanted && is_picky(job)) --picky_;
  note_nodes(job, false);
  count_leases(job, false);
}

void GangPlanner::note_nodes(Job& job, bool more) {
  std::string_view last;  // most have several leases on a node, one after the other
  for (const Lease& lease : job.leases) {
    if (std::exchange(last, lease.node) == lease.node) continue;
    if (more) {
      jobs_on_[lease.node].insert(&job);
    } else if (const auto there = jobs_on_.find(lease.node); there != jobs_on_.end()) {
      there->second.erase(&job);
      if (there->second.empty()) jobs_on_.erase(there);
    }
  }
}

void GangPlanner::count_leases(const Job& job, bool more) {
  for (const Lease& lease : job.leases) {
    const std::size_t node = capacity_.index_of(lease.node);
    const WorkerSize size = size_of(lease);
    const bool later = !lease.releasing;
    if (node != Capacity::kUnknownNode)
      more ? capacity_.use(node, size, true, later) : capacity_.free(node, size, true, later);
    if (lease.role != Role::worker) continue;
    const std::size_t queue = queue_of(lease.tenant, lease.queue);
    for (QueueUse* use : {&use_now_, &use_later_}) {
      if (use == &use_later_ && !later) continue;
      more ? use->add(queue, room_of(size, 1)) : use->remove(queue, room_of(size, 1));
    }
    if (lease.releasing) more ? ++releasing_ : --releasing_;
  }
  if (std::ranges::any_of(job.leases, &Lease::releasing))
    more ? void(leaving_.insert(job.demand.job)) : void(leaving_.erase(job.demand.job));
  if (job.elsewhere != Room{}) {
    elsewhere_ = more ? plus(elsewhere_, job.elsewhere) : minus(elsewhere_, job.elsewhere);
    set_total();
  }
  if (job.is_occupant)
    more ? void(occupants_.insert(job.demand.job)) : void(occupants_.erase(job.demand.job));
  if (job.is_wanted && job.workers >= job.needed) count_minimum(job, more);
  if (job.is_wanted) count_fixed(job, fixed_workers(job, job.workers), more);
}

void GangPlanner::enter(Job& job) {
  job.least_fitting = least_fitting(job);
  job.least_total = least_total(job);
  job.is_pending = needs_.add(job) && !job.demand.held;
  job.claim = claim_of(job);
  guarantees_.add(job);
  if (job.workers > 0) running_.insert(&job);
  if (job.workers > 0 && job.demand.ends_ms > 0) ending_.insert(&job);
  if (job.workers > 0 && job.demand.ends_ms == 0 && job.demand.likely_ends_ms > 0)
    likely_ending_.insert(&job);
  if (job.workers < job.needed) {
    job.is_pending ? short_[job.queue].insert(&job) : impossible_.insert(&job);
    if (job.workers > 0) stalled_.insert(&job);
    if (job.workers > 0 && could_yield(job)) yielding_.insert(&job);
    if (job.workers > 0 && job.is_pending) partial_[job.queue].insert(&job);
    if (job.workers == 0 && job.is_pending) unstarted_[job.queue][shape_of(job)].insert(&job);
  } else if (job.growth.workers > 0) {
    growable_[job.queue][growth_group(job)].emplace(growth_rank(job), &job);
  }
  if (!job.demand.preemptible || !job.has_queue || newest_on_available_node(job) == nullptr) return;
  if (is_relocatable(job)) {
    ++relocatable_;
    for (const auto& [node, workers] : job.at) relocatable_at_[node].insert(&job);
  }
  job.filed_levels = job.guaranteed_levels;
  preemptible_[job.queue][preempt_group(job)].insert(&job);
  if (job.workers > job.needed) shrinkable_[job.queue][shrink_group(job)].emplace(shrink_rank(job), &job);
  if (job.workers > job.needed && count_slowing(job.demand, job.workers, job.workers) > 0)
    slowed_.insert(&job);
}

void GangPlanner::leave(Job& job) {
  needs_.remove(job);
  for (Jobs* jobs : {&running_, &stalled_, &impossible_, &slowed_, &short_[job.queue], &partial_[job.queue]})
    jobs->erase(&job);
  yielding_.erase(&job);
  guarantees_.remove(job);
  ending_.erase(&job);
  likely_ending_.erase(&job);
  bool was_relocatable = false;
  for (const auto& [node, workers] : job.at) was_relocatable |= relocatable_at_[node].erase(&job) > 0;
  if (was_relocatable) --relocatable_;
  take_out(unstarted_[job.queue], shape_of(job), &job);
  take_out(growable_[job.queue], growth_group(job), growth_rank(job));
  take_out(preemptible_[job.queue], preempt_group(job), &job);
  take_out(shrinkable_[job.queue], shrink_group(job), shrink_rank(job));
}

/// What is pending depends on the nodes, and on the slots that queues may lend, and so on workers on nodes
/// that are away.
void GangPlanner::look_at_needs() {
  for (Job* job : needs_.look_again(total_and_elsewhere())) {
    if (job->is_pending == (!job->demand.held && is_feasible(*job) && is_allowed(*job))) continue;
    leave(*job);
    enter(*job);
  }
}

std::size_t GangPlanner::count_waiting() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      jobs_, [](const auto& entry) { return entry.second->workers < entry.second->needed; }));
}

void GangPlanner::count_minimum(const Job& job, bool more) {
  const Room room = room_of(job.size, job.needed);
  more ? use_minimum_.add(job.queue, room) : use_minimum_.remove(job.queue, room);
}

GuaranteeClaim GangPlanner::claim_of(const Job& job) const {
  GuaranteeClaim claim;
  if (!tenants_.has_tenants()) return claim;
  const std::uint32_t fixed = fixed_workers(job, job.workers);
  claim.is_all_kept = is_among_fixed_only(job);
  if (job.is_pending && !claim.is_all_kept) claim.minimum = room_of(job.size, job.needed - fixed);
  if (job.has_queue && fixed > 0) claim.kept = room_of(job.size, fixed);
  return claim;
}

/// It may have other guaranteed levels than when it was filed.
void GangPlanner::file_by_levels(Job& job) {
  if (job.filed_levels == job.guaranteed_levels) return;
  const bool is_filed = take_out(preemptible_[job.queue], preempt_group(job), &job);
  job.filed_levels = job.guaranteed_levels;
  if (is_filed) preemptible_[job.queue][preempt_group(job)].insert(&job);
}

/// Whether its queue could ever allow the job's minimum.
bool GangPlanner::is_allowed(const Job& job) const {
  const auto least = least_total(job);
  const Room there = total_and_elsewhere();
  return least && least->slots <= there.slots && least->gpus <= there.gpus;
}

/// What the cluster must have for that; none: it could not with any.
std::optional<Room> GangPlanner::least_total(const Job& job) const {
  if (!job.has_queue) return std::nullopt;
  const auto least = use_nothing_.least_total(job.queue, room_of(job.size, job.needed));
  if (!is_fixed(job) || is_among_fixed_only(job)) return least;
  const auto fixed = fixed_nothing_.least_total_to_hold(job.queue, room_of(job.size, job.needed));
  if (!least || !fixed) return std::nullopt;
  return Room{std::max(least->slots, fixed->slots), 0, std::max(least->gpus, fixed->gpus)};
}

bool GangPlanner::is_available(const Lease& lease) const {
  const std::size_t node = capacity_.index_of(lease.node);
  return node != Capacity::kUnknownNode && capacity_.node(node).available;
}

/// Whether the job could have its minimum if it were alone on the available nodes.
bool GangPlanner::is_feasible(const Job& job) const {
  return count_alone(job, false, job.size) >= job.needed;
}

/// Workers of the job for which empty available nodes must have room for that.
std::uint64_t GangPlanner::least_fitting(const Job& job) const {
  constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  if (is_together(job)) {
    const std::uint64_t own = count_own_on_one(job, false, job.size);
    return own == 0 ? job.needed : own >= job.needed ? 0 : kNever;
  }
  const std::uint64_t own = count_own(job, false, job.size);
  return job.needed > own ? job.needed - own : 0;
}

/// Workers the job has, and could add if all others were gone.
std::uint64_t GangPlanner::count_alone(const Job& job, bool with_unavailable_nodes,
                                       const WorkerSize& size) const {
  if (!is_together(job))
    return empty_nodes_.fitting(size, with_unavailable_nodes) + count_own(job, with_unavailable_nodes, size);
  const std::uint64_t own = count_own_on_one(job, with_unavailable_nodes, size);
  return own > 0 ? own : empty_nodes_.fitting_on_one(size, with_unavailable_nodes);
}

/// Workers that it has where the nodes would have no room for them.
std::uint64_t GangPlanner::count_own(const Job& job, bool with_unavailable_nodes,
                                     const WorkerSize& size) const {
  std::uint64_t count = job.at_unknown_nodes;
  for (const auto& [node, workers] : job.at) {
    const bool counted = capacity_.node(node).available || with_unavailable_nodes;
    const std::uint64_t fitting = counted ? capacity_.fitting(node, capacity_.total(node), size) : 0;
    count += workers > fitting ? workers - fitting : 0;
  }
  return count;
}

/// Those that it could have where it is, if all must be on one node: those that it has stay there. None: it
/// has none.
std::uint64_t GangPlanner::count_own_on_one(const Job& job, bool with_unavailable_nodes,
                                            const WorkerSize& size) const {
  std::uint64_t most = job.at_unknown_nodes;
  for (const auto& [node, workers] : job.at) {
    most = std::max<std::uint64_t>(most, workers);
    if (capacity_.node(node).available || with_unavailable_nodes)
      most = std::max(most, capacity_.fitting(node, capacity_.total(node), size));
  }
  return most;
}

}  // namespace ds::scheduler
