#include "scheduler/policy/elastic/deadline_jobs.hpp"

#include <algorithm>
#include <cmath>

#include "scheduler/policy/deadline/promises.hpp"
#include "scheduler/policy/elastic/free_slots.hpp"
#include "scheduler/policy/elastic/node_packing.hpp"

namespace ds::scheduler {
namespace {

DeadlineJob to_deadline_job(const ElasticJob& job) {
  return {job.deadline->sizes, job.deadline->steps_left, job.deadline->deadline_s,
          static_cast<std::uint32_t>(job.slots.size()), job.standing_s};
}

/// Whether it is still in time if it is moved now.
bool can_move(const ElasticJob& job, const Promise& promise, const RoundClock& clock, std::uint32_t slots) {
  DeadlineJob moved = to_deadline_job(job);
  moved.slots = 0;  // as if it had been stopped
  Promise changed{{clock.now, clock.now + 1, slots}};
  for (Stretch stretch : promise) {
    stretch.from = std::max(stretch.from, clock.now + 1);
    if (stretch.from < stretch.to) changed.push_back(stretch);
  }
  const auto end = forecast(moved, changed, clock);
  return end && is_in_time(moved, *end);
}

/// Slots for each job's number of them.
std::vector<Slots> place(const ElasticCluster& cluster, std::span<const ElasticJob> jobs,
                         std::span<const std::uint32_t> counts, const std::vector<bool>& stays) {
  std::vector<Slots> plan = pack_nodes(cluster, jobs, counts);
  const auto is_kept = [&](std::size_t i) { return !stays[i] || plan[i] == jobs[i].slots; };
  bool are_kept = true;
  for (std::size_t i = 0; i < jobs.size(); ++i) are_kept = are_kept && is_kept(i);
  if (are_kept) return plan;
  FreeSlots free(cluster);
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    plan[i].clear();
    if (counts[i] == jobs[i].slots.size()) {
      plan[i] = jobs[i].slots;
      free.take(plan[i]);
    } else if (counts[i] > 0) {
      others.push_back(i);
    }
  }
  std::stable_sort(others.begin(), others.end(),
                   [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  for (const std::size_t i : others) plan[i] = free.take_packed(counts[i]);
  return plan;
}

}  // namespace

Decision plan_deadline_jobs(const ElasticCluster& cluster, std::span<const ElasticJob> jobs, double now_s) {
  const RoundClock clock{static_cast<std::uint64_t>(std::llround(now_s / cluster.round_s)), cluster.round_s};
  std::vector<std::size_t> admitted;
  std::vector<std::size_t> newcomers;
  std::vector<DeadlineJob> promised;
  std::vector<Promise> given;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i].promise == nullptr) {
      newcomers.push_back(i);
      continue;
    }
    admitted.push_back(i);
    promised.push_back(to_deadline_job(jobs[i]));
    given.push_back(*jobs[i].promise);
  }
  Promises promises(cluster.total(), clock, std::move(promised), std::move(given));
  promises.renew();
  Decision decision{std::vector<Slots>(jobs.size()), std::vector<DeadlineAnswer>(jobs.size())};
  for (const std::size_t i : newcomers) {
    decision.answers[i] = promises.admit(to_deadline_job(jobs[i]));
    if (decision.answers[i].promise) admitted.push_back(i);
  }
  const std::vector<std::uint32_t> shares = promises.share_round();
  std::vector<std::uint32_t> counts(jobs.size(), 0);
  std::vector<bool> stays(jobs.size(), false);
  for (std::size_t k = 0; k < admitted.size(); ++k) {
    const std::size_t i = admitted[k];
    decision.answers[i].promise = promises.promises()[k];
    counts[i] = shares[k];
    stays[i] = counts[i] > 0 && counts[i] == jobs[i].slots.size() &&
               !can_move(jobs[i], promises.promises()[k], clock, counts[i]);
  }
  decision.slots = place(cluster, jobs, counts, stays);
  return decision;
}

}  // namespace ds::scheduler
