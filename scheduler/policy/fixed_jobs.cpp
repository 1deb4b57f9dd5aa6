// What jobs that are not preemptible have: nobody gets it back before they end.
#include <algorithm>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {

/// Of such a job with so many workers: those that nobody else may count on. A gang that has started keeps its
/// minimum, whatever it loses of it; replicas are no gang.
std::uint32_t GangPlanner::fixed_workers(const Job& job, std::uint32_t workers) const {
  if (workers == 0 || !is_fixed(job)) return 0;
  return job.demand.works_with_fewer ? workers : std::max(workers, job.needed);
}

std::uint32_t GangPlanner::fixed_beyond(const Job& job, std::uint32_t count) const {
  return fixed_workers(job, job.workers + count) - fixed_workers(job, job.workers);
}

void GangPlanner::count_fixed(const Job& job, std::uint32_t workers, bool more, bool is_claim) {
  if (workers == 0) return;
  const Room room = room_of(job.size, workers);
  for (QueueUse* use : {&use_claimed_, &use_fixed_}) {
    if (is_claim && use == &use_fixed_) break;
    more ? use->add(job.queue, room) : use->remove(job.queue, room);
  }
}

/// Has one worker more or less.
void GangPlanner::count_worker(Job& job, bool more) {
  const std::uint32_t before = fixed_workers(job, job.workers);
  if (more && ++job.workers == job.needed) count_minimum(job, true);
  if (!more && job.workers-- == job.needed) count_minimum(job, false);
  const std::uint32_t after = fixed_workers(job, job.workers);
  count_fixed(job, std::max(before, after) - std::min(before, after), after > before);
  if (job.started == 0 || job.started >= job.needed || !could_yield(job)) return;
  job.workers > 0 && job.workers < job.needed ? void(yielding_.insert(&job)) : void(yielding_.erase(&job));
}

/// Beside the room of `count` more workers, which is kept for the job.
void GangPlanner::keep_fixed(Job& job, std::uint32_t count) {
  const std::uint32_t more = fixed_beyond(job, count);
  if (more == 0) return;
  count_fixed(job, more, true);
  steps_.push_back({Step::Kind::kept_fixed, &job, 0, nullptr, more});
}

void GangPlanner::claim_fixed(Job& job, std::uint32_t count) {
  const std::uint32_t more = fixed_beyond(job, count);
  if (more == 0) return;
  count_fixed(job, more, true, true);
  steps_.push_back({Step::Kind::claimed, &job, 0, nullptr, more});
  claiming_.push_back(&job);
}

/// Whether all that it wants it keeps.
bool GangPlanner::is_among_fixed_only(const Job& job) const {
  return is_fixed(job) && job.workers > 0 && fixed_workers(job, job.workers) >= job.needed;
}

std::optional<QueueUse::Limit> GangPlanner::find_kept_guarantee(const Job& job, std::uint32_t count,
                                                                const QueueUse& use) const {
  const std::uint32_t more = fixed_beyond(job, count);
  return more == 0 ? std::nullopt : use.find_held(job.queue, room_of(job.size, more));
}

/// All of these, at each level of the tree, of slots and of GPUs.
std::vector<QueueUse::Limit> GangPlanner::find_kept_guarantees(const Job& job, std::uint32_t count,
                                                               const QueueUse& use) const {
  const std::uint32_t more = fixed_beyond(job, count);
  return more == 0 ? std::vector<QueueUse::Limit>{} : use.find_all_held(job.queue, room_of(job.size, more));
}

/// Whether others could have what they are guaranteed if it were the only job that is not preemptible.
bool GangPlanner::may_ever_be_fixed(const Job& job) const {
  return !is_fixed(job) || is_among_fixed_only(job) ||
         !fixed_nothing_.find_held(job.queue, room_of(job.size, job.needed));
}

/// Whether the queue above the job's stays within what it is guaranteed with so many workers more. Where the
/// job is within what a queue below it is guaranteed, what is fixed there beyond that is no part of it: else
/// it could not have its own from others for what a sister has of what nobody is guaranteed.
bool GangPlanner::fits_side(const Job& job, std::size_t side, std::uint32_t count) const {
  const Room more = room_of(job.size, count);
  if (use_later_.fits_guarantee(side, more)) return true;
  if (!use_later_.fits_guarantee(side, more, use_fixed_.held_beyond_guarantee(side))) return false;
  for (std::size_t queue = job.queue; queue != side; queue = tenants_[queue].parent) {
    if (job.guaranteed_levels >= tenants_[queue].depth && use_later_.fits_guarantee(queue, more)) return true;
  }
  return false;
}

/// Of what others are guaranteed. It is in the way beside any other quota, and the users of both are.
void GangPlanner::add_fixed_quota(const Job& job, WaitFacts& facts) const {
  if (!is_fixed(job) || !job.has_queue || (facts.quota && facts.quota->is_for_ever)) return;
  const bool may_ever = may_ever_be_fixed(job);
  const std::uint32_t count = may_ever ? job.needed - job.workers : job.needed;
  const Room wanted = room_of(job.size, count);
  const auto limits = may_ever ? find_kept_guarantees(job, count, use_claimed_)
                               : fixed_nothing_.find_all_held(job.queue, wanted);
  if (limits.empty()) return;
  const auto [queue, is_of_gpus] = limits.front();
  const auto part_of = [&](const Room& room) { return is_of_gpus ? SlotCount(room.gpus) : room.slots; };
  QuotaFacts fixed;
  fixed.is_fixed = true;
  fixed.is_of_gpus = is_of_gpus;
  fixed.is_for_ever = !may_ever;
  fixed.queue = tenants_.full_name(queue);
  fixed.most = is_of_gpus ? tenants_[queue].gpu_limit : tenants_[queue].most();
  if (is_of_gpus && !fixed.most) fixed.most = total().gpus;
  fixed.used = part_of(use_fixed_.used(queue));
  fixed.claimed = part_of(use_claimed_.used(queue)) - fixed.used;
  fixed.wanted = part_of(wanted);
  for (const QueueSpec& child : tenants_.queues) {
    if (child.depth == tenants_[queue].depth + 1 && child.parent == queue)
      fixed.guaranteed += is_of_gpus ? child.guaranteed_gpus : child.guaranteed;
  }
  if (facts.quota && may_ever) {
    fixed.users = facts.quota->users;
    fixed.has_more_users = facts.quota->has_more_users;
    fixed.others.push_back(facts.quota->queue);
  }
  for (const auto& other : limits) {
    const std::string name = tenants_.full_name(other.queue);
    if (other.queue != queue && std::ranges::find(fixed.others, name) == fixed.others.end())
      fixed.others.push_back(name);
  }
  if (may_ever) name_fixed_users(job, count, facts, fixed);
  facts.quota = std::move(fixed);
}

/// Who has, or comes first for, what the job can't have because nobody could have it back.
void GangPlanner::name_fixed_users(const Job& job, std::uint32_t count, const WaitFacts& facts,
                                   QuotaFacts& fixed) const {
  const auto name = [&](const std::string& user) {
    if (user == job.demand.job || std::ranges::find(fixed.users, user) != fixed.users.end()) return;
    if (fixed.users.size() == kMaxBlockingJobs) return void(fixed.has_more_users = true);
    fixed.users.push_back(user);
  };
  const auto limits = find_kept_guarantees(job, count, use_claimed_);
  // Those of a queue that has no more of it than it is guaranteed take nothing from others.
  const auto is_user = [&](const Job* other) {
    if (!is_fixed(*other) || other->workers == 0) return false;
    return std::ranges::any_of(limits, [&](const QueueUse::Limit& limit) {
      if (!tenants_.is_below(other->queue, limit.queue)) return false;
      const QueueSpec& own = tenants_[other->queue];
      const Room& used = use_claimed_.used(other->queue);
      return limit.is_of_gpus
                 ? other->size.gpus > 0 && (other->queue == job.queue || used.gpus > own.guaranteed_gpus)
                 : other->queue == job.queue || used.slots > own.guaranteed;
    });
  };
  for (const Job* other : running_) {
    if (fixed.has_more_users) break;
    if (is_user(other)) name(other->demand.job);
  }
  for (const Job* other : touched_) {
    if (other->started == 0 && is_user(other)) name(other->demand.job);
  }
  for (const Job* other : claiming_) name(other->demand.job);
  // Else it is only not its turn yet, which goes by what all of them have.
  if (find_kept_guarantee(job, count, use_fixed_)) return;
  for (const std::string& other : claimants_before(job)) name(other);
  for (const std::string& other : facts.everybody.names) name(other);
}

}  // namespace ds::scheduler
