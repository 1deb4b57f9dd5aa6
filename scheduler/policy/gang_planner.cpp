#include "scheduler/policy/gang_planner.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "scheduler/policy/guarantees.hpp"

namespace ds::scheduler {
namespace {

std::uint32_t count_at(const std::map<std::size_t, std::uint32_t>& at, std::size_t node) {
  const auto found = at.find(node);
  return found == at.end() ? 0 : found->second;
}

/// Slots of available nodes, and those that leases hold elsewhere, which queues use too.
std::uint64_t count_slots(std::span<const NodeView> nodes, std::span<const Lease> leases) {
  std::uint64_t slots = 0;
  std::set<std::string_view> available;
  for (const NodeView& node : nodes) {
    if (!node.available) continue;
    slots += node.slots;
    available.insert(node.id);
  }
  for (const Lease& lease : leases) {
    if (lease.role == Role::worker && !available.contains(lease.node)) slots += lease.slots;
  }
  return slots;
}

/// Looks each pair of names up once.
class QueueNames {
 public:
  explicit QueueNames(const TenantTree& tenants) : tenants_(tenants) {}
  std::optional<std::size_t> find(const std::string& tenant, const std::string& queue) {
    const auto [known, is_new] = known_.try_emplace({tenant, queue});
    if (is_new) known->second = tenants_.find(tenant, queue);
    return known->second;
  }

 private:
  const TenantTree& tenants_;
  std::map<std::pair<std::string_view, std::string_view>, std::optional<std::size_t>> known_;
};

}  // namespace

GangPlanner::GangPlanner(std::span<const NodeView> nodes, std::span<const Lease> leases,
                         std::span<const Demand> demands, const TenantTree& tenants)
    : capacity_(nodes, leases),
      leases_(leases),
      tenants_(tenants),
      use_nothing_(tenants, count_slots(nodes, leases)),
      use_now_(use_nothing_),
      use_later_(use_nothing_),
      use_minimum_(use_nothing_) {
  QueueNames names(tenants);
  for (const Demand& demand : demands) {
    Job job;
    job.demand = &demand;
    job.size = {demand.slots, demand.memory_bytes};
    job.needed = std::max<std::uint32_t>(1, demand.workers.min);
    const auto queue = names.find(demand.tenant, demand.queue);
    job.has_queue = queue.has_value();
    job.queue = queue.value_or(TenantTree::kRoot);
    jobs_.push_back(std::move(job));
  }
  std::sort(jobs_.begin(), jobs_.end(), [](const Job& a, const Job& b) {
    return std::tie(b.demand->priority, a.demand->order, a.demand->job) <
           std::tie(a.demand->priority, b.demand->order, b.demand->job);
  });
  for (std::size_t i = 0; i < jobs_.size(); ++i) index_.emplace(jobs_[i].demand->job, i);
  for (const Lease& lease : leases) {
    if (lease.role != Role::worker) continue;
    const std::size_t node = capacity_.index_of(lease.node);
    if (is_available(lease)) occupants_.insert(lease.job);
    const std::size_t queue = names.find(lease.tenant, lease.queue).value_or(TenantTree::kRoot);
    use_now_.add(queue, lease.slots, lease.memory_bytes);
    if (!lease.releasing) use_later_.add(queue, lease.slots, lease.memory_bytes);
    const auto found = index_.find(lease.job);
    if (found == index_.end() || lease.releasing) continue;
    Job& job = jobs_[found->second];
    ++job.workers;
    ++(node == Capacity::kUnknownNode ? job.at_unknown_nodes : job.at[node]);
    job.live.push_back(&lease);
  }
  for (Job& job : jobs_) {
    if (job.workers >= job.needed) count_minimum(job, true);
    std::sort(job.live.begin(), job.live.end(),
              [](const Lease* a, const Lease* b) { return a->worker > b->worker; });
  }
  count_guarantees();
}

void GangPlanner::count_minimum(const Job& job, bool more) {
  const std::uint64_t slots = std::uint64_t{job.needed} * job.size.slots;
  const std::uint64_t memory_bytes = job.needed * job.size.memory_bytes;
  more ? use_minimum_.add(job.queue, slots, memory_bytes)
       : use_minimum_.remove(job.queue, slots, memory_bytes);
}

void GangPlanner::count_guarantees() {
  if (!tenants_.has_tenants()) return;
  std::vector<MinimumClaim> claims;
  for (const Job& job : jobs_) {
    const bool may_run = !job.demand->held && is_feasible(job) && is_allowed(job);
    claims.push_back({job.queue, std::uint64_t{job.needed} * job.size.slots, may_run});
  }
  const auto levels = count_guaranteed_levels(tenants_, claims);
  for (std::size_t i = 0; i < jobs_.size(); ++i) jobs_[i].guaranteed_levels = levels[i];
}

bool GangPlanner::is_allowed(const Job& job) const {
  return job.has_queue && !use_nothing_.find_limit(job.queue, std::uint64_t{job.needed} * job.size.slots);
}

std::optional<std::size_t> GangPlanner::find_limit(const Job& job, std::uint32_t count) const {
  return use_later_.find_limit(job.queue, std::uint64_t{count} * job.size.slots);
}

bool GangPlanner::is_available(const Lease& lease) const {
  const std::size_t node = capacity_.index_of(lease.node);
  return node != Capacity::kUnknownNode && capacity_.node(node).available;
}

void GangPlanner::on_capacity_changed() {
  placeable_.clear();
  totals_.reset();
}

bool GangPlanner::is_feasible(const Job& job) const {
  return count_alone(job, false, job.size) >= job.needed;
}

/// Workers the job has, and could add if all others were gone.
std::uint64_t GangPlanner::count_alone(const Job& job, bool with_unavailable_nodes,
                                       const WorkerSize& size) const {
  CountBySize& cache = with_unavailable_nodes ? alone_undrained_ : alone_;
  const auto [cached, is_new] = cache.try_emplace({size.slots, size.memory_bytes}, 0);
  if (is_new) {
    for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
      if (capacity_.node(node).available || with_unavailable_nodes)
        cached->second += count_fitting(capacity_.total(node), size);
    }
  }
  std::uint64_t count = cached->second + job.at_unknown_nodes;
  for (const auto& [node, workers] : job.at) {
    const bool counted = capacity_.node(node).available || with_unavailable_nodes;
    const std::uint64_t fitting = counted ? count_fitting(capacity_.total(node), size) : 0;
    count += workers > fitting ? workers - fitting : 0;
  }
  return count;
}

std::uint64_t GangPlanner::count_placeable(const WorkerSize& size) const {
  const auto [cached, is_new] = placeable_.try_emplace({size.slots, size.memory_bytes}, 0);
  if (is_new) {
    for (std::size_t node = 0; node < capacity_.node_count(); ++node)
      cached->second += count_fitting(capacity_.placeable(node), size);
  }
  return cached->second;
}

std::uint64_t GangPlanner::count_later(const WorkerSize& size) const {
  std::uint64_t count = 0;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    count += count_fitting(capacity_.free_later(node), size);
  }
  return count;
}

/// A node where the job already runs, else the fullest that has room; the first in the list of equals.
template <class RoomOf>
std::optional<std::size_t> GangPlanner::choose_node(const std::map<std::size_t, std::uint32_t>& at,
                                                    const WorkerSize& size, RoomOf room_of) const {
  using Rank = std::tuple<bool, std::uint64_t, std::uint64_t>;
  std::optional<std::size_t> best;
  Rank best_rank;
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    const Room room = room_of(node);
    if (!capacity_.node(node).available || count_fitting(room, size) == 0) continue;
    const Rank rank{count_at(at, node) == 0, room.slots, room.memory_bytes};
    if (!best || rank < best_rank) {
      best = node;
      best_rank = rank;
    }
  }
  return best;
}

bool GangPlanner::place(Job& job, std::uint32_t count) {
  const std::uint64_t slots = std::uint64_t{count} * job.size.slots;
  if (use_now_.find_limit(job.queue, slots) || use_later_.find_limit(job.queue, slots) ||
      count_placeable(job.size) < count)
    return false;
  use_now_.add(job.queue, slots, count * job.size.memory_bytes);
  use_later_.add(job.queue, slots, count * job.size.memory_bytes);
  occupants_.insert(job.demand->job);
  if (job.workers < job.needed && job.workers + count >= job.needed) count_minimum(job, true);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto node = choose_node(job.at, job.size, [&](std::size_t n) { return capacity_.placeable(n); });
    capacity_.place(*node, job.size);
    ++job.at[*node];
    ++job.workers;
    const auto [placement, is_new] = placement_of_.try_emplace({&job, *node}, plan_.placements.size());
    if (is_new) plan_.placements.push_back({job.demand->job, capacity_.node(*node).id, 0});
    ++plan_.placements[placement->second].count;
  }
  on_capacity_changed();
  return true;
}

void GangPlanner::promise(const Job& job) {
  const std::uint32_t missing = job.needed - job.workers;
  use_later_.add(job.queue, std::uint64_t{missing} * job.size.slots, missing * job.size.memory_bytes);
}

/// Keeps the room of `count` more workers, which will be there later, for the job.
void GangPlanner::reserve(const Job& job, std::uint32_t count) {
  use_later_.add(job.queue, std::uint64_t{count} * job.size.slots, count * job.size.memory_bytes);
  auto at = job.at;  // what it will have where, for packing only
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto node = choose_node(at, job.size, [&](std::size_t n) { return capacity_.free_later(n); });
    capacity_.reserve(*node, job.size);
    ++at[*node];
  }
  on_capacity_changed();
}

const GangPlanner::NodeTotals& GangPlanner::node_totals() const {
  if (totals_) return *totals_;
  totals_.emplace();
  for (std::size_t node = 0; node < capacity_.node_count(); ++node) {
    if (capacity_.node(node).available) {
      ++totals_->available;
      totals_->slots += capacity_.node(node).slots;
      totals_->memory_bytes += capacity_.node(node).memory_bytes;
      totals_->free_slots += capacity_.placeable(node).slots;
    } else {
      ++totals_->unavailable;
    }
  }
  return *totals_;
}

WaitFacts GangPlanner::facts_of(const Job& job) const {
  const WorkerSize without_memory{job.size.slots, 0};
  WaitFacts facts;
  facts.workers = job.workers;
  facts.needed = job.needed;
  facts.slots = job.size.slots;
  facts.memory_bytes = job.size.memory_bytes;
  facts.fitting_now = count_placeable(job.size);
  facts.fitting_now_by_slots = count_placeable(without_memory);
  facts.fitting_ever = count_alone(job, false, job.size);
  facts.fitting_ever_by_slots = count_alone(job, false, without_memory);
  facts.fitting_undrained = count_alone(job, true, job.size);
  facts.available_nodes = node_totals().available;
  facts.unavailable_nodes = node_totals().unavailable;
  facts.total_slots = node_totals().slots;
  facts.free_slots = node_totals().free_slots;
  facts.held = job.demand->held;
  if (!job.has_queue) facts.unknown_tenant = job.demand->tenant;
  const std::uint64_t all = std::uint64_t{job.needed} * job.size.slots;
  if (const auto never = use_nothing_.find_limit(job.queue, all)) {
    facts.quota = quota_of(job, *never);
    facts.quota->is_for_ever = true;
  } else if (const auto limit = find_limit(job, job.needed - job.workers)) {
    facts.quota = quota_of(job, *limit);
  } else if (const auto now =
                 use_now_.find_limit(job.queue, all - std::uint64_t{job.workers} * job.size.slots)) {
    facts.quota = quota_of(job, *now);
    facts.quota->used = use_now_.slots(*now);
  }
  for (const std::string& occupant : occupants_) {
    if (facts.occupants.size() == kMaxBlockingJobs) break;
    if (occupant != job.demand->job) facts.occupants.push_back(occupant);
  }
  return facts;
}

QuotaFacts GangPlanner::quota_of(const Job& job, std::size_t limit) const {
  QuotaFacts facts;
  facts.queue = tenants_.full_name(limit);
  facts.used = use_later_.slots(limit);
  facts.guaranteed = tenants_[limit].guaranteed;
  facts.borrowing_limit = tenants_[limit].borrowing_limit;
  facts.wanted = std::uint64_t{job.needed - job.workers} * job.size.slots;
  for (const Job& other : jobs_) {
    if (facts.users.size() == kMaxBlockingJobs) break;
    if (&other != &job && other.workers > 0 && tenants_.is_below(other.queue, limit))
      facts.users.push_back(other.demand->job);
  }
  return facts;
}

std::uint64_t GangPlanner::count_releasing() const {
  const auto stopping = std::count_if(leases_.begin(), leases_.end(), [](const Lease& lease) {
    return lease.releasing && lease.role == Role::worker;
  });
  return static_cast<std::uint64_t>(stopping) + plan_.releases.size();
}

void GangPlanner::wait(Job& job, const WaitFacts& facts) {
  job.is_waiting = true;
  plan_.waits.push_back({job.demand->job, explain_wait(facts)});
}

Plan GangPlanner::take_plan() {
  return std::move(plan_);
}

}  // namespace ds::scheduler
