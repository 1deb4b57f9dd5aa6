// Which jobs hold the room that one waits for.
#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "scheduler/policy/aftermath.hpp"

namespace ds::scheduler {
namespace {

/// All sets of so many jobs are looked at, and so many nodes with them, but no more.
constexpr std::size_t kMaxExact = 10;
constexpr std::size_t kMaxSteps = std::size_t{1} << 18;

}  // namespace

struct GangPlanner::Obstacle {
  const Job* job;
  std::map<std::size_t, std::uint32_t> left;  ///< workers on nodes of use that the waiting job can't take
};

/// What of the other's workers the waiting job may take now, as `make_room` does, goes to `then`.
void GangPlanner::take_in_thought(const Job& job, Obstacle& obstacle, Aftermath& then) const {
  const Job& other = *obstacle.job;
  if (!other.is_wanted) return;
  const auto take = [&](std::size_t node, std::uint32_t workers) {
    give_back(then, other, node, workers);
    if ((obstacle.left.at(node) -= workers) == 0) obstacle.left.erase(node);
  };
  const bool is_old_enough = !other.demand.is_young || job.demand.priority >= kCriticalPriority;
  const bool may_preempt = is_old_enough && !other.is_relocated && may_ever_preempt(other, job);
  if (may_preempt || is_stalled_before(other, job)) {
    while (!obstacle.left.empty()) take(obstacle.left.begin()->first, obstacle.left.begin()->second);
    return;
  }
  if (!may_shrink(other, job, job.needed - job.workers)) return;
  std::uint32_t extra = other.workers - other.needed;
  for (const Lease* lease : other.live) {
    const std::size_t node = capacity_.index_of(lease->node);
    const bool is_there = node != Capacity::kUnknownNode && capacity_.node(node).available;
    if (!is_there || (is_picky(job) && !obstacle.left.contains(node))) continue;
    if (extra-- == 0) return;
    if (obstacle.left.contains(node)) take(node, 1);
  }
}

/// Those without which it could have room where with them it has not, if some others were gone too: what one
/// has may be too little to be of use, and what another has may be enough alone.
void GangPlanner::keep_those_that_matter(const Aftermath& then, std::vector<Obstacle>& obstacles) const {
  std::map<std::size_t, Room> rooms;  // of nodes that any of them is on
  for (const Obstacle& one : obstacles) {
    for (const auto& [node, workers] : one.left)
      rooms.try_emplace(node, plus(capacity_.free_later(node), then.freed[node]));
  }
  const std::size_t sets = std::size_t{1} << std::min(obstacles.size(), kMaxExact);
  if (obstacles.size() > kMaxExact || sets * obstacles.size() * rooms.size() > kMaxSteps) return;
  std::vector<bool> has_room(sets);
  for (std::size_t gone = 0; gone < sets; ++gone) {
    std::map<std::size_t, Room> more = rooms;
    for (std::size_t i = 0; i < obstacles.size(); ++i) {
      if ((gone >> i & 1U) == 0) continue;
      for (const auto& [node, workers] : obstacles[i].left)
        more[node] = plus(more[node], room_of(obstacles[i].job->size, workers));
    }
    std::int64_t fits = then.fitting;
    for (const auto& [node, room] : more)
      fits += fitting(node, room, then.ask) - fitting(node, rooms.at(node), then.ask);
    has_room[gone] = fits >= static_cast<std::int64_t>(then.ask.pieces);
  }
  std::vector<Obstacle> kept;
  for (std::size_t i = 0; i < obstacles.size(); ++i) {
    const std::size_t own = std::size_t{1} << i;
    bool matters = false;
    for (std::size_t gone = 0; gone < sets && !matters; ++gone)
      matters = (gone & own) == 0 && !has_room[gone] && has_room[gone | own];
    if (matters) kept.push_back(std::move(obstacles[i]));
  }
  obstacles = std::move(kept);
}

/// Whether anybody who ends may change what the job finds somewhere else: among tenants others may be taken
/// then; a worker may go to the room that has become free, or a job grow into it and give a worker that the
/// job is more particular about; and a gang that lacks workers, which it could take, may get them.
bool GangPlanner::depends_on_all(const Job& job) const {
  const bool may_relocate = relocatable_ > 0 && job.workers == 0 && !job.demand.has_promise;
  const auto is_elastic = [this](const std::string& name) {
    const Job& other = *jobs_.at(name);
    return other.is_wanted && other.demand.workers.max > other.needed;
  };
  return tenants_.has_tenants() || may_relocate ||
         std::ranges::any_of(stalled_, [&](const Job* other) { return other != &job; }) ||
         (is_picky(job) && std::ranges::any_of(occupants_, is_elastic));
}

InTheWay GangPlanner::find_in_the_way(const Job& job) const {
  Aftermath then = aftermath_of(job);
  const bool is_exact = !depends_on_all(job);
  const auto is_of_use = [&](std::size_t node) {
    return node != Capacity::kUnknownNode && capacity_.node(node).available &&
           (!is_exact || could_hold(node, then.ask));
  };
  std::vector<const Job*> there;
  std::vector<Obstacle> obstacles;
  for (const std::string& name : occupants_) {
    const Job& other = *jobs_.at(name);
    if (&other == &job) continue;
    Obstacle one{&other, {}};
    for (const auto& [node, workers] : other.at) {
      if (is_of_use(node)) one.left.emplace(node, workers);
    }
    const bool is_stopping = std::ranges::any_of(other.leases, [&](const Lease& lease) {
      return lease.releasing && is_of_use(capacity_.index_of(lease.node));
    });
    if (!one.left.empty() || is_stopping) there.push_back(&other);
    if (is_exact) take_in_thought(job, one, then);
    if (!one.left.empty()) obstacles.push_back(std::move(one));
  }
  if (then.has_room()) {  // it is coming
    InTheWay found;
    found.count = there.size();
    for (const Job* other : there) {
      if (found.names.size() < kMaxBlockingJobs) found.names.push_back(other->demand.job);
    }
    return found;
  }
  if (is_exact) keep_those_that_matter(then, obstacles);
  return name_obstacles(then, std::move(obstacles));
}

/// In the order of names, where there are not too many; else those with the most slots.
InTheWay GangPlanner::name_obstacles(Aftermath& then, std::vector<Obstacle> obstacles) const {
  InTheWay found;
  found.count = obstacles.size();
  if (obstacles.size() > kMaxBlockingJobs) {
    std::ranges::stable_sort(obstacles, std::greater(),
                             [](const Obstacle& one) { return one.job->workers * one.job->size.slots; });
    for (const Obstacle& one : obstacles) {
      if (then.has_room()) break;
      ++found.enough;
      for (const auto& [node, workers] : one.left) give_back(then, *one.job, node, workers);
    }
    if (!then.has_room()) found.enough = 0;
  }
  for (const Obstacle& one : obstacles) {
    if (found.names.size() < kMaxBlockingJobs) found.names.push_back(one.job->demand.job);
  }
  return found;
}

}  // namespace ds::scheduler
