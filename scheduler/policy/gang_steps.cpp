// The steps of a plan, and what a job that waits was compared with.
#include <algorithm>
#include <limits>
#include <ranges>
#include <tuple>
#include <unordered_set>

#include "scheduler/policy/gang_planner.hpp"
#include "scheduler/policy/wanted_kinds.hpp"

namespace ds::scheduler {

void GangPlanner::begin() {
  look_at_needs();
  guarantees_.count([this](Job& job) { file_by_levels(job); });
}

Plan GangPlanner::end() {
  // Of a worker that was released and taken back, perhaps again and again, only the last matters.
  std::unordered_set<const Lease*> settled;
  for (; !steps_.empty(); steps_.pop_back()) {
    const Step& step = steps_.back();
    const bool is_back = step.kind == Step::Kind::taken_back;
    const bool is_of_worker = is_back || step.kind == Step::Kind::released;
    if (is_of_worker && !settled.insert(step.lease).second) continue;
    if (!is_back) undo(step);
  }
  for (Job* job : touched_) {
    job->was_shrunk = job->is_relocated = job->is_touched = job->is_released_from = false;
    job->kept = 0;
    measure(*job);
  }
  touched_.clear();
  released_from_.clear();
  for (const std::string& job : newly_occupying_) occupants_.erase(job);
  newly_occupying_.clear();
  claiming_.clear();
  given_up_.clear();
  last_placement_of_.clear();
  Plan plan{.releases = std::move(releases_),
            .placements = std::move(placements_),
            .waits = {},
            .preemptions = std::move(preemptions_),
            .relocations = std::move(relocations_)};
  relocations_.clear();
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
  return use_later_.find_limit(job.queue, room_of(job.size, count));
}

/// Of these nodes the fullest that has room, of equals the first by name; see `Capacity::fill_rank`.
template <class Nodes, class RoomOf>
std::optional<std::size_t> GangPlanner::choose_node(Nodes nodes, const WorkerSize& size,
                                                    RoomOf room_of) const {
  std::optional<std::size_t> best;
  FillRank best_rank;
  for (const std::size_t node : nodes) {
    if (!capacity_.node(node).available) continue;
    const Room room = room_of(node);
    if (capacity_.fitting(node, room, size) == 0) continue;
    const FillRank rank = capacity_.fill_rank(node, room, size);
    if (best && (best_rank < rank || (best_rank == rank && capacity_.comes_before(*best, node)))) continue;
    best = node;
    best_rank = rank;
  }
  return best;
}

/// By name.
std::size_t GangPlanner::first_node(const WorkersAt& at) const {
  return *std::ranges::min_element(
      std::views::keys(at), [this](std::size_t a, std::size_t b) { return capacity_.comes_before(a, b); });
}

GangPlanner::Ask GangPlanner::ask_of(const Job& job, std::uint32_t count) const {
  if (!is_together(job)) return {job.size, count};
  Ask ask{together(job.size, count), 1};
  if (job.at_unknown_nodes > 0) ask.only = Capacity::kUnknownNode;
  if (!job.at.empty()) ask.only = first_node(job.at);
  return ask;
}

bool GangPlanner::can_place(const Job& job, std::uint32_t count) const {
  if (!is_together(job)) return capacity_.count_placeable(job.size) >= count;
  const Ask ask = ask_of(job, count);
  if (!ask.only) return capacity_.count_placeable(ask.piece) > 0;
  return *ask.only != Capacity::kUnknownNode &&
         capacity_.fitting(*ask.only, capacity_.placeable(*ask.only), ask.piece) > 0;
}

/// Workers that could be added now; of those that must be together, on the node where most of them could.
std::uint64_t GangPlanner::count_placeable(const Job& job) const {
  return is_together(job) ? most_on_one_node(job, job.size) : capacity_.count_placeable(job.size);
}

std::uint64_t GangPlanner::most_on_one_node(const Job& job, const WorkerSize& size) const {
  std::uint64_t most = 0;
  const auto look_at = [&](std::size_t node) {
    most = std::max(most, capacity_.fitting(node, capacity_.placeable(node), size));
  };
  const Ask ask = ask_of(job, 1);
  for (std::size_t node = 0; !ask.only && node < capacity_.node_count(); ++node) look_at(node);
  if (ask.only && *ask.only != Capacity::kUnknownNode) look_at(*ask.only);
  return most;
}

/// There is room; on the one that it shuns only where no other has any.
std::size_t GangPlanner::fullest_placeable(const Job& job, const WorkerSize& size) const {
  std::optional<std::size_t> other, shunned;
  for (const WorkerSize& of_kind : sizes_by_kind(size)) {
    capacity_.for_each_placeable(of_kind, [&](std::size_t node) {
      (is_shunned(job, node) ? shunned : other) = node;
      return !other;
    });
    if (other) return *other;
  }
  return *shunned;
}

/// For the first of `count` workers more of one that has its own way; there is room.
std::size_t GangPlanner::choose_to_place(const Job& job, std::uint32_t count) const {
  const auto placeable = [&](std::size_t n) { return capacity_.placeable(n); };
  if (job.demand.placement != PlacementRule::spread) {
    const auto own = choose_node(std::views::keys(job.at), job.size, placeable);
    return own ? *own : choose_to_pack(job, count, rank_kinds(job, count, job.at, false));
  }
  std::optional<std::size_t> other;
  for (const WorkerSize& of_kind : kinds_to_place(capacity_, job, count)) {
    capacity_.for_each_placeable(of_kind, [&](std::size_t node) {
      if (!job.at.contains(node)) other = node;
      return !other;
    });
    if (other) return *other;
  }
  std::uint32_t fewest = std::numeric_limits<std::uint32_t>::max();
  for (const auto& [node, workers] : job.at) {
    if (capacity_.fitting(node, capacity_.placeable(node), job.size) > 0) fewest = std::min(fewest, workers);
  }
  const auto is_poorest = [&](std::size_t node) { return job.at.at(node) == fewest; };
  return *choose_node(std::views::keys(job.at) | std::views::filter(is_poorest), job.size, placeable);
}

bool GangPlanner::place(Job& job, std::uint32_t count) {
  if (use_now_.find_limit(job.queue, room_of(job.size, count)) || find_limit(job, count) ||
      would_keep_guarantees(job, count) || !can_place(job, count))
    return false;
  const std::size_t first_step = steps_.size();
  std::optional<std::size_t> only;
  if (is_together(job)) {
    const Ask ask = ask_of(job, count);
    only = ask.only ? *ask.only : fullest_placeable(job, ask.piece);
  }
  const bool is_spread = job.demand.placement == PlacementRule::spread;
  for (std::uint32_t left = count; left > 0;) {
    const std::size_t node = only ? *only : choose_to_place(job, left);
    const std::uint64_t there =
        is_spread
            ? 1
            : std::min<std::uint64_t>(left, capacity_.fitting(node, capacity_.placeable(node), job.size));
    for (std::uint64_t i = 0; i < there; ++i, --left) place_one(job, node);
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
  for (QueueUse* use : {&use_now_, &use_later_}) use->add(job.queue, room_of(job.size, 1));
  ++job.at[node];
  count_worker(job, true);
  measure(job);
}

void GangPlanner::promise(Job& job) {
  for (std::uint32_t missing = job.needed - job.workers; missing > 0; --missing) {
    use_later_.add(job.queue, room_of(job.size, 1));
    steps_.push_back({Step::Kind::promised, &job, 0, nullptr});
  }
}

/// Keeps the room of `count` more workers, which will be there later, for the job.
void GangPlanner::reserve(Job& job, std::uint32_t count) {
  auto at = job.at;  // what it will have where, for packing only
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t node = choose_to_reserve(job, count - i, at);
    capacity_.use(node, job.size, false, true);
    use_later_.add(job.queue, room_of(job.size, 1));
    steps_.push_back({Step::Kind::reserved, &job, node, nullptr});
    job.reserved_on.push_back(node);
    ++at[node];
  }
  keep_fixed(job, count);
}

/// For the first of `count` more workers, for which there will be room; it will have those `at` nodes.
std::size_t GangPlanner::choose_to_reserve(const Job& job, std::uint32_t count, const WorkersAt& at) const {
  const auto later = [&](std::size_t n) { return capacity_.free_later(n); };
  const auto all = std::views::iota(std::size_t{0}, capacity_.node_count());
  if (is_together(job))
    return at.empty() ? *choose_node(all, together(job.size, count), later) : first_node(at);
  if (job.demand.placement == PlacementRule::spread) {
    const auto others = all | std::views::filter([&](std::size_t node) { return !at.contains(node); });
    const auto other = choose_node(others, job.size, later);
    return other ? *other : *choose_node(all, job.size, later);
  }
  const auto own = choose_node(std::views::keys(at), job.size, later);
  return own ? *own : choose_to_keep_packed(job, count, at);
}

/// Where there will be room for a worker that leaves one of the nodes `left`, without a piece less having
/// room there.
std::optional<std::size_t> GangPlanner::choose_other_node(const Job& job, std::span<const std::size_t> left,
                                                          const Ask& ask) const {
  const auto later = [&](std::size_t n) { return capacity_.free_later(n); };
  const Room own_room = room_of(job.size, 1);
  const auto is_open = [&](std::size_t node) {
    if (!capacity_.node(node).available || std::ranges::find(left, node) != left.end()) return false;
    const Room room = later(node);
    return capacity_.fitting(node, room, job.size) > 0 &&
           fitting(node, minus(room, own_room), ask) == fitting(node, room, ask);
  };
  const auto all = std::views::iota(std::size_t{0}, capacity_.node_count());
  const bool is_spread = job.demand.placement == PlacementRule::spread;
  const auto is_preferred = [&](std::size_t node) {
    return job.at.contains(node) != is_spread && is_open(node);
  };
  const auto chosen = choose_node(all | std::views::filter(is_preferred), job.size, later);
  return chosen ? chosen : choose_node(all | std::views::filter(is_open), job.size, later);
}

/// The worker counts as one of its job's on the other node, as things will be.
void GangPlanner::relocate(Job& job, const Lease& lease, std::size_t node) {
  const std::size_t from = capacity_.index_of(lease.node);
  capacity_.free(from, size_of(lease), false, true);
  capacity_.use(node, job.size, false, true);
  if (--job.at.at(from) == 0) job.at.erase(from);
  ++job.at[node];
  std::erase(job.live, &lease);
  steps_.push_back({Step::Kind::relocated, &job, node, &lease});
}

void GangPlanner::undo_relocate(Job& job, const Lease& lease, std::size_t node) {
  const std::size_t from = capacity_.index_of(lease.node);
  capacity_.free(node, job.size, false, true);
  capacity_.use(from, size_of(lease), false, true);
  if (--job.at.at(node) == 0) job.at.erase(node);
  ++job.at[from];
  insert_live(job, lease);
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
  const WorkerSize size = size_of(lease);
  count_worker(victim, false);
  use_later_.remove(queue_of(lease.tenant, lease.queue), room_of(size, 1));
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
  const WorkerSize size = size_of(lease);
  count_worker(job, true);
  use_later_.add(queue_of(lease.tenant, lease.queue), room_of(size, 1));
  if (node == Capacity::kUnknownNode) {
    ++job.at_unknown_nodes;
  } else {
    capacity_.use(node, size, false, true);
    ++job.at[node];
  }
  insert_live(job, lease);
  measure(job);
}

void GangPlanner::insert_live(Job& job, const Lease& lease) {
  const auto place = std::find_if(job.live.begin(), job.live.end(),
                                  [&](const Lease* other) { return other->worker < lease.worker; });
  job.live.insert(place, &lease);
}

void GangPlanner::undo(const Step& step) {
  Job& job = *step.job;
  switch (step.kind) {
    case Step::Kind::placed:
      count_worker(job, false);
      if (--job.at.at(step.node) == 0) job.at.erase(step.node);
      for (QueueUse* use : {&use_now_, &use_later_}) use->remove(job.queue, room_of(job.size, 1));
      measure(job);  // also of one that was tried only: by its ranks it is found again
      return capacity_.free(step.node, job.size, true, true);
    case Step::Kind::reserved:
      job.reserved_on.pop_back();
      capacity_.free(step.node, job.size, false, true);
      return use_later_.remove(job.queue, room_of(job.size, 1));
    case Step::Kind::promised:
      return use_later_.remove(job.queue, room_of(job.size, 1));
    case Step::Kind::released:
      return do_take_back(job, *step.lease);
    case Step::Kind::taken_back:
      return do_release(job, *step.lease);
    case Step::Kind::relocated:
      return undo_relocate(job, *step.lease, step.node);
    case Step::Kind::arrived:
      capacity_.free(step.node, job.size, true, false);
      return use_now_.remove(job.queue, room_of(job.size, 1));
    case Step::Kind::kept_fixed:
      return count_fixed(job, step.workers, false);
    case Step::Kind::claimed:
      return count_fixed(job, step.workers, false, true);
  }
}

void GangPlanner::name_missing_nodes(const Job& job, WaitFacts& facts) const {
  const std::uint64_t least = is_together(job) ? job.needed : 1;
  if (is_together(job) && job.workers > 0) return;  // it is bound to the node where it is
  auto& missing = facts.missing_nodes;
  for (std::size_t index = 0; index < capacity_.node_count(); ++index) {
    const NodeView& node = capacity_.node(index);
    const std::uint64_t fitting = capacity_.fitting(index, capacity_.total(index), job.size);
    if (capacity_.is_listed(index) && !node.available && fitting >= least)
      missing.push_back({node.id, fitting, node.is_closed});
  }
  facts.missing_node_count = missing.size();
  std::ranges::sort(missing, [](const MissingNode& a, const MissingNode& b) {
    return std::tie(b.fitting, a.id) < std::tie(a.fitting, b.id);
  });
  missing.resize(std::min(missing.size(), kMaxBlockingJobs));
}

WaitFacts GangPlanner::facts_of(const Job& job) const {
  WorkerSize without_memory = job.size, of_any_kind = job.size;
  without_memory.memory_bytes = 0;
  of_any_kind.gpu_kind.clear();
  WaitFacts facts;
  facts.job = job.demand.job;
  facts.workers = job.workers;
  facts.is_extra = job.demand.is_extra;
  facts.needed = job.needed;
  facts.slots = job.size.slots;
  facts.memory_bytes = job.demand.memory_bytes;
  const auto placeable = [&](const WorkerSize& size) {
    return is_together(job) ? most_on_one_node(job, size) : capacity_.count_placeable(size);
  };
  facts.fitting_now = placeable(job.size);
  facts.fitting_now_by_slots = placeable(without_memory);
  facts.fitting_ever = count_alone(job, false, job.size);
  facts.fitting_ever_by_slots = count_alone(job, false, without_memory);
  facts.fitting_undrained = count_alone(job, true, job.size);
  if (facts.fitting_ever < job.needed && facts.fitting_undrained >= job.needed)
    name_missing_nodes(job, facts);
  if (job.size.gpus > 0) {
    facts.gpus = job.size.gpus;
    facts.gpu_kind = job.size.gpu_kind;
    facts.fitting_now_on_any = placeable(of_any_kind);
    facts.fitting_ever_on_any = count_alone(job, false, of_any_kind);
    facts.gpus_there = capacity_.gpus();
  }
  if (is_together(job)) {
    facts.is_together = true;
    facts.fitting_now_apart = capacity_.count_placeable(job.size);
    facts.fitting_ever_apart = empty_nodes_.fitting(job.size, false);
    if (!job.at.empty()) facts.node = capacity_.node(first_node(job.at)).id;
  }
  facts.available_nodes = empty_nodes_.available();
  facts.unavailable_nodes = empty_nodes_.unavailable();
  facts.total_slots = total().slots;
  facts.free_slots = capacity_.placeable_slots();
  facts.held = job.demand.held;
  facts.held_until_ms = job.demand.held_until_ms;
  facts.restart = job.demand.restart;
  facts.restart_limit = job.demand.restart_limit;
  if (!job.has_queue) facts.unknown_tenant = job.demand.tenant;
  const std::uint32_t missing = job.needed - job.workers;
  facts.quota = find_quota(job, use_nothing_, job.needed);
  if (facts.quota) {
    facts.quota->is_for_ever = true;
    facts.quota->users.clear();  // it would pass the limit without them as well
    facts.quota->has_more_users = false;
  }
  if (!facts.quota) facts.quota = find_quota(job, use_later_, missing);
  if (!facts.quota) facts.quota = find_quota(job, use_now_, missing);
  facts.everybody.count = occupants_.size() - occupants_.count(job.demand.job);
  for (const std::string& occupant : occupants_) {
    if (facts.everybody.names.size() == kMaxBlockingJobs) break;
    if (occupant != job.demand.job) facts.everybody.names.push_back(occupant);
  }
  facts.occupants = facts.everybody;
  add_fixed_quota(job, facts);
  return facts;
}

/// Of the limit that `count` workers would pass, with what is used in `use`.
std::optional<QuotaFacts> GangPlanner::find_quota(const Job& job, const QueueUse& use,
                                                  std::uint32_t count) const {
  const auto limits = use.find_limits(job.queue, room_of(job.size, count));
  return limits.empty() ? std::nullopt : std::optional(quota_of(job, limits.front(), use, count));
}

QuotaFacts GangPlanner::quota_of(const Job& job, const QueueUse::Limit& limit, const QueueUse& use,
                                 std::uint32_t count) const {
  const auto& [queue, is_of_gpus] = limit;
  QuotaFacts facts;
  facts.queue = tenants_.full_name(queue);
  facts.guaranteed = tenants_[queue].guaranteed;
  facts.borrowing_limit = tenants_[queue].borrowing_limit;
  const Room wanted = room_of(job.size, count);
  if (is_of_gpus) facts.gpu_limit = tenants_[queue].gpu_limit;
  facts.used = is_of_gpus ? use.used(queue).gpus : use.slots(queue);
  facts.wanted = is_of_gpus ? wanted.gpus : wanted.slots;
  const auto limits = use.find_limits(job.queue, wanted);
  for (const auto& other : limits) {
    if (other.queue != queue) facts.others.push_back(tenants_.full_name(other.queue));
  }
  const auto name = [&](const Job* other) {
    const bool is_user =
        other != &job && other->workers > 0 && std::ranges::any_of(limits, [&](const QueueUse::Limit& one) {
          return tenants_.is_below(other->queue, one.queue) && (!one.is_of_gpus || other->size.gpus > 0);
        });
    if (!is_user) return;
    if (facts.users.size() < kMaxBlockingJobs) return facts.users.push_back(other->demand.job);
    facts.has_more_users = true;
  };
  for (const Job* other : running_) {
    if (facts.has_more_users) break;
    name(other);
  }
  for (const Job* other : touched_) {
    if (other->started == 0) name(other);
  }
  return facts;
}

}  // namespace ds::scheduler
