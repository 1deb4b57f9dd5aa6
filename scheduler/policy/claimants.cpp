// Who comes first for what queues are guaranteed.
#include <algorithm>
#include <iterator>
#include <map>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {
namespace {

/// Whether it could be within what a queue above it is guaranteed, and is not.
bool lacks_guarantee(const TenantTree& tenants, const QueueUse& use_nothing, const GangJob& job) {
  for (std::size_t queue = job.queue; queue != TenantTree::kRoot; queue = tenants[queue].parent) {
    if (job.guaranteed_levels >= tenants[queue].depth) continue;
    if (use_nothing.fits_guarantee(queue, room_of(job.size, job.needed))) return true;
  }
  return false;
}

}  // namespace

/// They come first, or have of it what their own queue is guaranteed.
std::vector<std::string> GangPlanner::claimants_before(const Job& job) const {
  std::vector<std::string> found;
  for (std::size_t queue = job.queue; queue != TenantTree::kRoot; queue = tenants_[queue].parent) {
    const QueueSpec& spec = tenants_[queue];
    const bool could_be_within = use_nothing_.fits_guarantee(queue, room_of(job.size, job.needed));
    if (job.guaranteed_levels >= spec.depth || !could_be_within) continue;
    for (std::size_t leaf = queue; leaf < tenants_.queues.size(); ++leaf) {
      if (!tenants_.is_below(leaf, queue)) continue;
      const auto note = [&](const Job* other) {
        const bool is_new = other != &job && std::ranges::find(found, other->demand.job) == found.end();
        if (is_new && found.size() < kMaxBlockingJobs) found.push_back(other->demand.job);
      };
      for (const Job* other : guarantees_.keepers(leaf)) {
        if (found.size() == kMaxBlockingJobs) return found;
        note(other);
      }
      for (const Job* other : guarantees_.line(leaf)) {
        if (other->guaranteed_levels <= spec.depth && !Before()(other, &job)) break;
        if (found.size() == kMaxBlockingJobs) return found;
        note(other);
      }
    }
  }
  return found;
}

/// Of each shape that waits in the leaf the last two, if they could be within what a queue above them is
/// guaranteed and are not.
std::vector<const GangPlanner::Job*> GangPlanner::not_yet_guaranteed(std::size_t leaf) const {
  std::vector<const Job*> found;
  const auto look_at = [&](const Job* job) {
    if (job->workers < job->needed && lacks_guarantee(tenants_, use_nothing_, *job)) found.push_back(job);
  };
  for (const auto& [shape, jobs] : unstarted_[leaf]) {
    for (auto last = jobs.end(); last != jobs.begin() && std::distance(last, jobs.end()) < 2;)
      look_at(*--last);
  }
  for (const Job* job : partial_[leaf]) look_at(job);
  return found;
}

std::vector<const GangPlanner::Job*> GangPlanner::claimants_elsewhere(const Job& job, bool is_behind) const {
  // By what is above them where they meet the job: of those whose guarantee matters to it two, as some of
  // these say it of every claimant but that one, or (who runs) of all outside its own queue.
  std::map<std::size_t, std::vector<const Job*>> others;
  const auto note = [&](const Job* one, std::size_t side) {
    auto& some = others[side];
    if (some.empty() || (some.size() == 1 && (is_behind || some.front()->queue != one->queue)))
      some.push_back(one);
  };
  if (is_behind) {
    for (std::size_t leaf = 0; leaf < tenants_.queues.size(); ++leaf) {
      if (leaf == job.queue) continue;
      for (const Job* one : not_yet_guaranteed(leaf)) note(one, tenants_.meet(job.queue, leaf).b_side);
    }
    for (const Job* one : running_) {
      if (one->queue == job.queue || !lacks_guarantee(tenants_, use_nothing_, *one)) continue;
      note(one, tenants_.meet(job.queue, one->queue).b_side);
    }
  } else if (job.guaranteed_levels > 0) {
    for (const Job* one : running_) {
      if (one->queue == job.queue || one->guaranteed_levels == 0 || !one->demand.preemptible) continue;
      const auto meeting = tenants_.meet(job.queue, one->queue);
      const std::size_t depth = tenants_[meeting.at].depth;
      if (job.guaranteed_levels > depth && one->guaranteed_levels > depth) note(one, meeting.b_side);
    }
  }
  std::vector<const Job*> found;
  for (std::size_t leaf = 0; leaf < tenants_.queues.size() && !others.empty(); ++leaf) {
    const auto side = others.find(tenants_.meet(job.queue, leaf).b_side);
    if (leaf == job.queue || side == others.end()) continue;
    for (const Job* claimant : guarantees_.line(leaf)) {
      const bool matters = std::ranges::any_of(
          side->second, [&](const Job* one) { return is_behind ? one != claimant : one->queue != leaf; });
      if (matters && claimant->workers < claimant->needed) found.push_back(claimant);
      if (claimant == guarantees_.first_beyond(leaf)) break;
    }
  }
  return found;
}

}  // namespace ds::scheduler
