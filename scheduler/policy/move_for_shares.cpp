// Workers that change jobs for the sake of equal shares: of queues, and of jobs of a queue of which nobody
// knows how fast they are.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "scheduler/policy/planning.hpp"
#include "scheduler/policy/turns.hpp"

namespace ds::scheduler {
namespace {

/// For one step of growth at most, as for other moves.
constexpr std::size_t kMostGiven = 64;

/// Workers in one plan.
constexpr std::size_t kMostMovedForShares = 1024;

/// So many jobs are looked at in a plan for which nothing is worth moving.
constexpr std::size_t kMostTried = 64;

/// Of sums that would be equal if computers had all digits.
constexpr double kRounding = 1e-9;

/// Nobody will ever know how fast it is.
bool is_program(const Demand& demand) {
  return demand.grows_to > 0;
}

/// It trains, and could have measured by now how fast it is: else it goes by what it gains.
bool is_unmeasured(const Demand& demand) {
  return !is_program(demand) && !demand.curve && !demand.works_with_fewer && !demand.is_young;
}

/// Of a queue these have as many workers. What a change of size costs differs between the two kinds.
bool are_equals(const Demand& one, const Demand& other) {
  return is_program(one) ? is_program(other) : is_unmeasured(one) && is_unmeasured(other);
}

/// Whether it would be faster with fewer, and so give more back than it was asked for.
bool is_slowed(const GangPlanner::Job& job) {
  const double now = log_speed(job.demand, job.workers);
  for (std::uint32_t fewer = job.needed; job.demand.curve && fewer < job.workers; ++fewer) {
    if (log_speed(job.demand, fewer) > now) return true;
  }
  return false;
}

/// Whether all together gain if the job has `to` workers rather than `from`, and by enough to pay for their
/// resizes, where these are not made anyway.
bool gains(const GangPlanner::Job& job, std::uint32_t from, std::uint32_t to,
           std::span<const GangPlanner::Giver> givers, bool resizes_more) {
  const auto gain_of = [](const Demand& demand, std::uint32_t had, std::uint32_t has) {
    return demand.weight * (log_speed(demand, has) - log_speed(demand, had));
  };
  double gain = gain_of(job.demand, from, to), most_weight = job.demand.weight;
  double cost_s = resize_cost_s(job.demand), within_s = pays_within_s(job.demand);
  for (const auto& [giver, gives] : givers) {
    gain += gain_of(giver->demand, giver->workers + gives, giver->workers);
    most_weight = std::max(most_weight, giver->demand.weight);
    cost_s += resize_cost_s(giver->demand);
    within_s = std::min(within_s, pays_within_s(giver->demand));
  }
  return gain > 0 && (!resizes_more || pays(gain / most_weight, cost_s, within_s));
}

/// What a job has beside others of its queue.
double number_of(const GangPlanner::Job& job, std::uint32_t workers) {
  return (workers * job.size.slots).number() / job.demand.weight;
}

}  // namespace

/// In a queue those without known speeds alone: the others go by what is gained. Of other queues each keeps
/// what it is guaranteed, at all levels. Replicas are wanted one by one, whatever others have.
bool GangPlanner::may_give_for_shares(const Job& job, const Job& beneficiary) const {
  const bool has_grown = job.kept > 0 || (job.is_touched && !job.is_released_from);
  if (&job == &beneficiary || has_grown || job.demand.is_young || job.demand.works_with_fewer) return false;
  if (job.queue == beneficiary.queue) {
    if (!are_equals(job.demand, beneficiary.demand)) return false;
  } else {
    const std::size_t meeting = tenants_.meet(beneficiary.queue, job.queue).at;
    for (std::size_t queue = job.queue; queue != meeting; queue = tenants_[queue].parent) {
      if (!use_later_.has_guarantee_without(queue, room_of(job.size, 1))) return false;
    }
  }
  return may_shrink(job, beneficiary, 1);
}

/// The one that loses least by it, which of those without known speeds is the one with the most.
GangPlanner::Job* GangPlanner::choose_giver_for_shares(const Job& beneficiary, std::size_t queue,
                                                       const Lack& lack) {
  if (!lack.room && !(lack.quota && tenants_.is_below(queue, *lack.quota))) return nullptr;
  Job* best = nullptr;
  const auto may_give = [&](const Job& job) {
    return may_give_for_shares(job, beneficiary) && newest_of_use(job, beneficiary, lack) != nullptr;
  };
  const auto consider = [&](Job* job) {
    const auto rank = [](const Job* one) { return std::pair(-one->loss, one->workers); };
    if (best == nullptr || rank(best) < rank(job) || (rank(best) == rank(job) && Before()(best, job)))
      best = job;
  };
  for (const auto& [group, jobs] : shrinkable_[queue]) {
    const auto first = std::find_if(jobs.rbegin(), jobs.rend(), [&](const auto& entry) {
      return !entry.second->is_released_from && may_give(*entry.second);
    });
    if (first != jobs.rend()) consider(first->second);
  }
  for (Job* job : released_from_) {
    if (job->queue == queue && may_give(*job)) consider(job);
  }
  return best;
}

bool GangPlanner::move_for_shares(Job& job, std::uint32_t count, std::size_t queue,
                                  const std::function<bool(std::span<const Giver>)>& is_worth) {
  const std::size_t first_step = steps_.size();
  std::vector<const Lease*> taken;
  Lack lack = lack_of(job, count);
  for (; !lack.is_none() && taken.size() < kMostGiven; lack = lack_of(job, count)) {
    Job* giver = choose_giver_for_shares(job, queue, lack);
    if (giver == nullptr) break;
    taken.push_back(newest_of_use(*giver, job, lack));
    release(*giver, *taken.back());
  }
  bool is_done = lack.is_none();
  if (is_done) {
    drop_needless(job, count, taken);
    std::vector<Giver> givers;
    for (const Lease* lease : taken) {
      const auto known = std::ranges::find(givers, &job_of(*lease), &Giver::job);
      known == givers.end() ? void(givers.push_back({&job_of(*lease), 1})) : void(++known->gives);
    }
    reserve(job, count);
    is_done = is_worth(givers);
  }
  if (!is_done) {
    undo_from(first_step);
    return false;
  }
  for (const Lease* lease : taken) {
    releases_.push_back({lease->job, lease->worker});
    job_of(*lease).was_shrunk = true;
  }
  keep(job, count);
  return true;
}

struct Planning::FairMoves {
  std::vector<bool> closed;  ///< queues whose first gets nothing
  std::set<std::pair<std::size_t, GangPlanner::GrowthGroup>>
      limited;                                                     ///< of a queue: those that a quota keeps
  std::map<std::string, std::pair<const Job*, SizeChange>> given;  ///< by job

  /// Whether somebody is resized who was not to be so far.
  bool resizes_more(const Job& job, std::span<const GangPlanner::Giver> givers) const {
    return job.kept == 0 ||
           !std::ranges::all_of(givers, [&](const auto& one) { return given.contains(one.job->demand.job); });
  }
  /// Whether the larger of two shares gets smaller by it, by enough.
  static bool pays(double larger, double larger_then, bool resizes_more) {
    return larger_then < larger * (1 - (resizes_more ? kLeastShareGain : kRounding));
  }
  void note(const Job& job, const Job& giver, std::string because) {
    given.try_emplace(giver.demand.job, &giver,
                      SizeChange{.job = giver.demand.job,
                                 .from = giver.started,
                                 .in_favour_of = job.demand.job,
                                 .because = std::move(because)});
  }
};

/// Whether a try may lead to anything: there is a job that may grow, and a queue that could give has more,
/// for its weight, than one on the job's way beside it; or one of its own queue could give, or it has room.
bool Planning::may_any_move_for_shares() const {
  const QueueUse& use = planner_.use();
  const std::size_t queues = tenants_.queues.size();
  std::vector<double> most(queues, 0);  // of a queue's children below which somebody could give
  std::vector<bool> gives(queues);
  for (std::size_t queue = queues; queue-- > 1;) {  // children before their parents
    if (!gives[queue] && !planner_.could_give_any(queue)) continue;
    const std::size_t parent = tenants_[queue].parent;
    gives[parent] = true;
    most[parent] = std::max(most[parent], shares_.of(use, queue));
  }
  for (std::size_t queue = 0; queue < queues; ++queue) {
    bool grows = false, has_equals = false;
    for (const auto& [group, jobs] : planner_.growable_of(queue)) {
      if (group.second) continue;
      const auto first = std::ranges::find_if(jobs, [&](const auto& one) { return may_grow(*one.second); });
      if (first == jobs.end()) continue;
      const Demand& demand = first->second->demand;
      grows = true;
      has_equals = has_equals || ((is_program(demand) || is_unmeasured(demand)) &&
                                  (planner_.could_give_any(queue) || planner_.has_room_for_one(group.first)));
    }
    if (has_equals) return true;
    for (std::size_t at = queue; grows && at != TenantTree::kRoot; at = tenants_[at].parent) {
      if (FairMoves::pays(most[tenants_[at].parent], shares_.of(use, at), true)) return true;
    }
  }
  return false;
}

/// When nothing else changes: so what is released is nobody's who waits or grows anyway.
void Planning::move_for_shares() {
  const auto has_more = [](const Job* job) { return job->kept > 0 || job->workers != job->started; };
  if (!keepers_.empty() || planner_.count_releasing() > 0 ||
      std::ranges::any_of(planner_.touched(), has_more) || !may_any_move_for_shares())
    return;
  FairMoves moves{std::vector<bool>(tenants_.queues.size()), {}, {}};
  std::size_t moved = 0, tried = 0;
  while (moved < kMostMovedForShares && tried < kMostTried) {
    Job* job = first_for_shares(moves);
    if (job == nullptr) break;
    const std::uint32_t count = job->growth.workers;
    if (take_for_shares(*job, moves)) {
      moved += count;
    } else if (planner_.find_limit(*job, count)) {
      moves.limited.emplace(job->queue, growth_group(*job));
    } else {
      moves.closed[job->queue] = true;
      ++tried;
    }
  }
  for (auto& [id, one] : moves.given) {
    auto& [job, change] = one;
    change.to = job->workers;
    change.speed = std::exp(log_speed(job->demand, change.to) - log_speed(job->demand, change.from));
    change.is_known = job->demand.curve != nullptr;
    size_changes_.push_back(std::move(change));
  }
}

/// Whose turn it is to grow: only the first of a queue, since what is released would be its. Those that must
/// be on one node take nothing from others.
Planning::Job* Planning::first_for_shares(const FairMoves& moves) const {
  const auto first_of = [&](std::size_t queue) {
    Job* first = nullptr;
    const auto consider = [&](Job* job) {
      if (first == nullptr || growth_rank(*job) < growth_rank(*first)) first = job;
    };
    const auto is_open = [&](const GangPlanner::GrowthGroup& group) {
      return !group.second && !moves.limited.contains({queue, group});
    };
    for (const auto& [group, jobs] : planner_.growable_of(queue)) {
      if (!is_open(group)) continue;
      const auto found = std::ranges::find_if(
          jobs, [&](const auto& entry) { return !entry.second->is_touched && may_grow(*entry.second); });
      if (found != jobs.end()) consider(found->second);
    }
    for (Job* job : planner_.touched()) {
      if (job->queue == queue && may_grow(*job) && is_open(growth_group(*job))) consider(job);
    }
    return first;
  };
  const auto next = [&](std::size_t queue) { return moves.closed[queue] ? nullptr : first_of(queue); };
  const auto is_within = [&](const Job& job, std::size_t queue) {
    return planner_.use().fits_guarantee(queue, room_of(job.size, 1));
  };
  return choose_turn(tenants_, shares_, planner_.use(), next, is_within);
}

/// From the queue whose turn is the last, or the next one; then from its own.
bool Planning::take_for_shares(Job& job, FairMoves& moves) {
  const QueueUse& use = planner_.use();
  std::vector<std::size_t> givers;
  for (std::size_t queue = 1; queue < tenants_.queues.size(); ++queue) {
    if (queue == job.queue || !planner_.could_give_any(queue)) continue;
    const auto [at, own_side, other_side] = tenants_.meet(job.queue, queue);
    if (own_side == at || other_side == at) continue;
    if (FairMoves::pays(shares_.of(use, other_side), shares_.of(use, own_side), true))
      givers.push_back(queue);
  }
  const auto never = [](std::size_t) { return false; };
  std::ranges::sort(givers, [&](std::size_t a, std::size_t b) {
    const int order = shares_.compare(use, a, never, b, never);
    return order != 0 ? order > 0 : a < b;
  });
  return std::ranges::any_of(givers, [&](std::size_t queue) { return take_from_queue(job, queue, moves); }) ||
         take_from_equals(job, moves);
}

/// Who gives must not be the first to take it back.
bool Planning::take_from_queue(Job& job, std::size_t queue, FairMoves& moves) {
  const QueueUse& use = planner_.use();
  const auto [at, own_side, other_side] = tenants_.meet(job.queue, queue);
  const double own = shares_.of(use, own_side), other = shares_.of(use, other_side);
  const std::string because = tenants_.full_name(other_side) + " has " + share_text(other) +
                              " of the cluster for its weight, " + tenants_.full_name(own_side) + " " +
                              share_text(own);
  const auto is_worth = [&, own_side = own_side,
                         other_side = other_side](std::span<const GangPlanner::Giver> givers) {
    const bool pays = std::ranges::none_of(givers, [](const auto& one) { return is_slowed(*one.job); }) &&
                      own < shares_.of(use, other_side) &&
                      FairMoves::pays(other, shares_.of(use, own_side), moves.resizes_more(job, givers));
    for (const auto& one : givers) {
      if (pays) moves.note(job, *one.job, because);
    }
    return pays;
  };
  return planner_.move_for_shares(job, job.growth.workers, queue, is_worth);
}

/// The same by the number of workers. Programs have their rests; where training jobs are resized that must
/// pay as for what they gain, with both taken to scale perfectly.
bool Planning::take_from_equals(Job& job, FairMoves& moves) {
  if (!is_program(job.demand) && !is_unmeasured(job.demand)) return false;
  const auto rank = growth_rank(job);
  const std::uint32_t has = job.workers + job.kept, count = job.growth.workers;
  const auto is_worth = [&](std::span<const GangPlanner::Giver> givers) {
    const bool resizes_more = moves.resizes_more(job, givers);
    const bool pays =
        std::ranges::all_of(givers,
                            [&](const GangPlanner::Giver& one) {
                              return rank < growth_rank(*one.job) &&
                                     FairMoves::pays(number_of(*one.job, one.job->workers + one.gives),
                                                     number_of(job, has + count), resizes_more);
                            }) &&
        (is_program(job.demand) || gains(job, has, has + count, givers, resizes_more));
    for (const auto& one : givers) {
      if (pays)
        moves.note(job, *one.job,
                   "that has " + std::to_string(has) + ", and nobody knows how fast either is with how many");
    }
    return pays;
  };
  return planner_.move_for_shares(job, count, job.queue, is_worth);
}

/// A program that has room now and more as soon as others are gone starts again once, with all of it.
void Planning::put_off_partial_growth(Plan& plan) {
  const auto is_partial = [&](const std::string& id) {
    const Job* job = planner_.find(id);
    return job != nullptr && std::ranges::find(partly_grown_, job) != partly_grown_.end();
  };
  std::erase_if(plan.placements, [&](const Placement& one) { return is_partial(one.job); });
  std::erase_if(plan.resizes,
                [&](const SizeChange& one) { return one.to > one.from && is_partial(one.job); });
}

void Planning::note_partial_growth() {
  for (const Job* job : planner_.touched()) {
    const bool has_grown = job->started >= job->needed && job->workers > job->started;
    if (has_grown && job->kept > 0 && job->demand.grows_to > 0 && !job->is_relocated)
      partly_grown_.push_back(job);
  }
}

}  // namespace ds::scheduler
