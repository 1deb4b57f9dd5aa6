// The steps of a plan, and what a job that waits was compared with.
#include <algorithm>
#include <ranges>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {

void GangPlanner::begin() {
  if (!tenants_.has_tenants()) return;
  if (is_stale_ || elsewhere_ != elsewhere_when_entered_) enter_again();
  count_guarantees();
}

Plan GangPlanner::end() {
  undo_from(0);
  for (Job* job : touched_) {
    job->was_shrunk = job->is_touched = job->is_released_from = false;
    job->kept = 0;
    measure(*job);
  }
  touched_.clear();
  released_from_.clear();
  for (const std::string& job : newly_occupying_) occupants_.erase(job);
  newly_occupying_.clear();
  given_up_.clear();
  last_placement_of_.clear();
  Plan plan{std::move(releases_), std::move(placements_), {}, std::move(preemptions_)};
  releases_.clear();
  placements_.clear();
  preemptions_.clear();
  return plan;
}

/// To be called when the workers have changed that it has, or that room is kept for.
void GangPlanner::measure(Job& job) {
  const bool may_grow = job.workers >= job.needed && job.workers < job.demand.workers.max;
  job.growth = may_grow ? next_growth(job.demand, job.workers + job.kept) : GrowthStep{};
  job.loss = job.workers > job.needed ? loss_of_one(job.demand, job.workers) : 0;
}

void GangPlanner::touch(Job& job) {
  if (job.is_touched) return;
  job.is_touched = true;
  touched_.push_back(&job);
}

std::optional<std::size_t> GangPlanner::find_limit(const Job& job, std::uint32_t count) const {
  return use_later_.find_limit(job.queue, std::uint64_t{count} * job.size.slots);
}

/// Of these nodes the fullest that has room, the first of equals.
template <class Nodes, class RoomOf>
std::optional<std::size_t> GangPlanner::choose_node(Nodes nodes, const WorkerSize& size,
                                                    RoomOf room_of) const {
  std::optional<std::size_t> best;
  std::pair<std::uint64_t, std::uint64_t> best_room;
  for (const std::size_t node : nodes) {
    if (!capacity_.node(node).available) continue;
    const Room room = room_of(node);
    if (count_fitting(room, size) == 0) continue;
    const std::pair rank{room.slots, room.memory_bytes};
    if (best && best_room <= rank) continue;
    best = node;
    best_room = rank;
  }
  return best;
}

bool GangPlanner::place(Job& job, std::uint32_t count) {
  const std::uint64_t slots = std::uint64_t{count} * job.size.slots;
  if (use_now_.find_limit(job.queue, slots) || find_limit(job, count) ||
      capacity_.count_placeable(job.size) < count)
    return false;
  const std::size_t first_step = steps_.size();
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto own = choose_node(std::views::keys(job.at), job.size,
                                 [&](std::size_t n) { return capacity_.placeable(n); });
    const std::size_t node = own ? *own : *capacity_.fullest_placeable(job.size);
    place_one(job, node);
  }
  record_placements(job, first_step);
  return true;
}

/// All steps from this one on place workers of the job, and stay.
void GangPlanner::record_placements(Job& job, std::size_t first_step) {
  touch(job);
  if (occupants_.insert(job.demand.job).second) newly_occupying_.push_back(job.demand.job);
  for (std::size_t step = first_step; step < steps_.size(); ++step) {
    const std::size_t node = steps_[step].node;
    const auto [last, is_new] = last_placement_of_.try_emplace(&job, placements_.size());
    // In the order in which they were placed: those above the minimum are the newest, which go first.
    if (!is_new && placements_[last->second].node != capacity_.node(node).id)
      last->second = placements_.size();
    if (last->second == placements_.size())
      placements_.push_back({job.demand.job, capacity_.node(node).id, 0});
    ++placements_[last->second].count;
  }
}

void GangPlanner::undo_from(std::size_t first_step) {
  while (steps_.size() > first_step) {
    undo(steps_.back());
    steps_.pop_back();
  }
}

void GangPlanner::place_one(Job& job, std::size_t node) {
  steps_.push_back({Step::Kind::placed, &job, node, nullptr});
  capacity_.use(node, job.size, true, true);
  for (QueueUse* use : {&use_now_, &use_later_}) use->add(job.queue, job.size.slots, job.size.memory_bytes);
  ++job.at[node];
  if (++job.workers == job.needed) count_minimum(job, true);
  measure(job);
}

void GangPlanner::promise(Job& job) {
  for (std::uint32_t missing = job.needed - job.workers; missing > 0; --missing) {
    use_later_.add(job.queue, job.size.slots, job.size.memory_bytes);
    steps_.push_back({Step::Kind::promised, &job, 0, nullptr});
  }
}

/// Keeps the room of `count` more workers, which will be there later, for the job.
void GangPlanner::reserve(Job& job, std::uint32_t count) {
  auto at = job.at;  // what it will have where, for packing only
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto later = [&](std::size_t n) { return capacity_.free_later(n); };
    auto node = choose_node(std::views::keys(at), job.size, later);
    if (!node) node = choose_node(std::views::iota(std::size_t{0}, capacity_.node_count()), job.size, later);
    capacity_.use(*node, job.size, false, true);
    use_later_.add(job.queue, job.size.slots, job.size.memory_bytes);
    steps_.push_back({Step::Kind::reserved, &job, *node, nullptr});
    ++at[*node];
  }
}

void GangPlanner::release(Job& victim, const Lease& lease) {
  touch(victim);
  if (!victim.is_released_from) released_from_.push_back(&victim);
  victim.is_released_from = true;
  do_release(victim, lease);
  steps_.push_back({Step::Kind::released, &victim, 0, &lease});
}

void GangPlanner::take_back(const Lease& lease) {
  Job& job = job_of(lease);
  do_take_back(job, lease);
  steps_.push_back({Step::Kind::taken_back, &job, 0, &lease});
}

void GangPlanner::do_release(Job& victim, const Lease& lease) {
  const std::size_t node = capacity_.index_of(lease.node);
  const WorkerSize size = worker_size(lease.slots, lease.memory_bytes);
  if (victim.workers-- == victim.needed) count_minimum(victim, false);
  use_later_.remove(queue_of(lease.tenant, lease.queue), size.slots, size.memory_bytes);
  if (node == Capacity::kUnknownNode) {
    --victim.at_unknown_nodes;
  } else {
    capacity_.free(node, size, false, true);
    if (--victim.at.at(node) == 0) victim.at.erase(node);
  }
  std::erase(victim.live, &lease);
  measure(victim);
}

void GangPlanner::do_take_back(Job& job, const Lease& lease) {
  const std::size_t node = capacity_.index_of(lease.node);
  const WorkerSize size = worker_size(lease.slots, lease.memory_bytes);
  if (++job.workers == job.needed) count_minimum(job, true);
  use_later_.add(queue_of(lease.tenant, lease.queue), size.slots, size.memory_bytes);
  if (node == Capacity::kUnknownNode) {
    ++job.at_unknown_nodes;
  } else {
    capacity_.use(node, size, false, true);
    ++job.at[node];
  }
  const auto place = std::find_if(job.live.begin(), job.live.end(),
                                  [&](const Lease* other) { return other->worker < lease.worker; });
  job.live.insert(place, &lease);
  measure(job);
}

void GangPlanner::undo(const Step& step) {
  Job& job = *step.job;
  switch (step.kind) {
    case Step::Kind::placed:
      if (job.workers-- == job.needed) count_minimum(job, false);
      if (--job.at.at(step.node) == 0) job.at.erase(step.node);
      for (QueueUse* use : {&use_now_, &use_later_})
        use->remove(job.queue, job.size.slots, job.size.memory_bytes);
      measure(job);  // also of one that was tried only: by its ranks it is found again
      return capacity_.free(step.node, job.size, true, true);
    case Step::Kind::reserved:
      capacity_.free(step.node, job.size, false, true);
      return use_later_.remove(job.queue, job.size.slots, job.size.memory_bytes);
    case Step::Kind::promised:
      return use_later_.remove(job.queue, job.size.slots, job.size.memory_bytes);
    case Step::Kind::released:
      return do_take_back(job, *step.lease);
    case Step::Kind::taken_back:
      return do_release(job, *step.lease);
  }
}

WaitFacts GangPlanner::facts_of(const Job& job) const {
  const WorkerSize without_memory{job.size.slots, 0};
  WaitFacts facts;
  facts.job = job.demand.job;
  facts.workers = job.workers;
  facts.needed = job.needed;
  facts.slots = job.size.slots;
  facts.memory_bytes = job.demand.memory_bytes;
  facts.fitting_now = capacity_.count_placeable(job.size);
  facts.fitting_now_by_slots = capacity_.count_placeable(without_memory);
  facts.fitting_ever = count_alone(job, false, job.size);
  facts.fitting_ever_by_slots = count_alone(job, false, without_memory);
  facts.fitting_undrained = count_alone(job, true, job.size);
  facts.available_nodes = totals_.available;
  facts.unavailable_nodes = totals_.unavailable;
  facts.total_slots = totals_.slots;
  facts.free_slots = capacity_.placeable_slots();
  facts.held = job.demand.held;
  if (!job.has_queue) facts.unknown_tenant = job.demand.tenant;
  const std::uint64_t all = std::uint64_t{job.needed} * job.size.slots;
  const std::uint64_t missing = all - std::uint64_t{job.workers} * job.size.slots;
  if (const auto never = use_nothing_.find_limit(job.queue, all)) {
    facts.quota = quota_of(job, *never);
    facts.quota->is_for_ever = true;
    facts.quota->users.clear();  // it would pass the limit without them as well
  } else if (const auto limit = find_limit(job, job.needed - job.workers)) {
    facts.quota = quota_of(job, *limit);
  } else if (const auto now = use_now_.find_limit(job.queue, missing)) {
    facts.quota = quota_of(job, *now);
    facts.quota->used = use_now_.slots(*now);
  }
  for (const std::string& occupant : occupants_) {
    if (facts.occupants.size() == kMaxBlockingJobs) break;
    if (occupant != job.demand.job) facts.occupants.push_back(occupant);
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
  const auto name = [&](const Job* other) {
    const bool is_user = other != &job && other->workers > 0 && tenants_.is_below(other->queue, limit);
    if (is_user && facts.users.size() < kMaxBlockingJobs) facts.users.push_back(other->demand.job);
  };
  for (const Job* other : running_) {
    if (facts.users.size() == kMaxBlockingJobs) break;
    name(other);
  }
  for (const Job* other : touched_) {
    if (other->started == 0) name(other);
  }
  return facts;
}

}  // namespace ds::scheduler
