// Workers that change jobs, or leave one, for what is gained by it.
#include <algorithm>
#include <cmath>
#include <utility>

#include "scheduler/policy/gang_planner.hpp"

namespace ds::scheduler {
namespace {

/// For one move at most: more would cost those who give more than it brings.
constexpr std::size_t kMostMoved = 64;

}  // namespace

bool GangPlanner::keep_room(Job& job, std::uint32_t count) {
  if (!has_room_later(job, count)) return false;
  reserve(job, count);
  keep(job, count);
  return true;
}

void GangPlanner::give_back(Job& job, std::vector<SizeChange>& resizes) {
  if (job.was_shrunk || job.is_relocated) return;
  const std::uint32_t from = job.workers;
  const auto can_go =
      std::ranges::count_if(job.live, [this](const Lease* lease) { return is_available(*lease); });
  const std::uint32_t slowing = count_slowing(job.demand, from, static_cast<std::uint32_t>(can_go));
  for (std::uint32_t left = slowing; left > 0; --left) {
    const Lease* lease = newest_on_available_node(job);
    if (lease == nullptr) break;
    release(job, *lease);
    releases_.push_back({lease->job, lease->worker});
    job.was_shrunk = true;
  }
  if (!job.was_shrunk) return;
  const double speed = std::exp(log_speed(job.demand, job.workers) - log_speed(job.demand, from));
  resizes.push_back({job.demand.job, from, job.workers, speed, true});
}

/// One that has grown in this plan is not what it was measured as.
bool GangPlanner::may_move(const Job& job, const Job& beneficiary) const {
  const bool has_grown = job.is_touched && !job.is_released_from;
  return job.demand.curve && job.demand.is_settled && !has_grown && job.queue == beneficiary.queue &&
         may_shrink(job, beneficiary, 1);
}

bool GangPlanner::move_room(Job& job, std::uint32_t count, std::vector<SizeChange>& resizes) {
  std::vector<const Lease*> taken;
  Lack lack = lack_of(job, count);
  for (; !lack.is_none() && taken.size() < kMostMoved; lack = lack_of(job, count)) {
    Job* giver = choose_giver(job, lack);
    if (giver == nullptr) break;
    taken.push_back(newest_of_use(*giver, job, lack));
    release(*giver, *taken.back());
  }
  if (lack.is_none()) drop_needless(job, count, taken);
  if (!lack.is_none() || !is_worth_moving(job, count, taken)) {
    for (const Lease* lease : taken) take_back(*lease);
    return false;
  }
  for (const Lease* lease : taken) {
    Job& giver = job_of(*lease);
    releases_.push_back({lease->job, lease->worker});
    if (!std::exchange(giver.was_shrunk, true)) {
      const double speed =
          std::exp(log_speed(giver.demand, giver.workers) - log_speed(giver.demand, giver.started));
      resizes.push_back({lease->job, giver.started, giver.workers, speed, true, job.demand.job});
    }
  }
  reserve(job, count);
  keep(job, count);
  return true;
}

/// `taken`: what is released for it. Who gives must not be the first to take it back.
bool GangPlanner::is_worth_moving(const Job& job, std::uint32_t count,
                                  std::span<const Lease* const> taken) const {
  const std::uint32_t has = job.workers + job.kept;
  double gain = job.demand.weight * (log_speed(job.demand, has + count) - log_speed(job.demand, has));
  double most_weight = job.demand.weight;
  double cost_s = resize_cost_s(job.demand), within_s = pays_within_s(job.demand);
  std::vector<const Job*> givers;
  for (const Lease* lease : taken) {
    const Job& giver = job_of(*lease);
    if (std::ranges::find(givers, &giver) != givers.end()) continue;
    givers.push_back(&giver);
    gain -= giver.demand.weight *
            (log_speed(giver.demand, giver.started) - log_speed(giver.demand, giver.workers));
    most_weight = std::max(most_weight, giver.demand.weight);
    cost_s += resize_cost_s(giver.demand);
    within_s = std::min(within_s, pays_within_s(giver.demand));
    if (growth_rank(giver) < growth_rank(job)) return false;
  }
  gain /= most_weight;
  return !givers.empty() && gain >= kLeastMoveGain && pays(gain, cost_s, within_s);
}

}  // namespace ds::scheduler
