#include "scheduler/policy/waiting_line.hpp"

#include <algorithm>

namespace ds::scheduler {

void WaitingLine::add(const Job& job, std::size_t keeps_back) {
  std::vector<const Job*>& own = lines_[job.queue].own;
  Line& line = lines_[keeps_back];
  if (own.size() < kMaxBlockingJobs) line.some.push_back(&job);
  own.push_back(&job);
  ++line.keeping_back;
}

bool WaitingLine::is_behind(std::size_t queue) const {
  while (lines_[queue].keeping_back == 0 && queue != TenantTree::kRoot) queue = tenants_[queue].parent;
  return lines_[queue].keeping_back > 0;
}

std::size_t WaitingLine::count_others(std::size_t queue) const {
  std::size_t all = 0;
  for (std::size_t above = queue;; above = tenants_[above].parent) {
    all += lines_[above].keeping_back;
    if (above == TenantTree::kRoot) break;
  }
  return all - lines_[queue].own.size();  // its own all keep back some queue on this way
}

const WaitingLine::Job* WaitingLine::first_before(std::size_t queue) const {
  for (std::size_t above = queue;; above = tenants_[above].parent) {
    for (const Job* job : lines_[above].some) {
      if (job->queue != queue) return job;
    }
    if (above == TenantTree::kRoot) return nullptr;
  }
}

void WaitingLine::describe(const Job& job, WaitFacts& facts) const {
  const std::vector<const Job*>& own = lines_[job.queue].own;
  // One that is preempted in this plan is described after others that come behind it. Both are in the plan's
  // order.
  const auto end = std::ranges::lower_bound(own, &job);
  const auto less_urgent = std::partition_point(
      own.begin(), end, [&](const Job* one) { return one->demand->priority > job.demand->priority; });
  facts.ahead = static_cast<std::size_t>(end - own.begin());
  facts.ahead_by_priority = static_cast<std::size_t>(less_urgent - own.begin());
  for (auto one = own.begin(); one != end && facts.ahead_names.size() < kMaxBlockingJobs; ++one)
    facts.ahead_names.push_back((*one)->demand->job);
  const Job* first = first_before(job.queue);
  if (first == nullptr) return;
  facts.turn.emplace();
  facts.turn->jobs = count_others(job.queue);
  facts.turn->first_queue = tenants_.full_name(first->queue);
  facts.turn->own_queue = tenants_.full_name(job.queue);
  const std::size_t depth = tenants_[tenants_.meet(first->queue, job.queue).at].depth;
  facts.turn->is_first_guaranteed = first->guaranteed_levels > depth && job.guaranteed_levels <= depth;
  for (std::size_t above = job.queue;; above = tenants_[above].parent) {
    for (const Job* one : lines_[above].some) {
      if (facts.turn->names.size() == kMaxBlockingJobs) return;
      if (one->queue != job.queue) facts.turn->names.push_back(one->demand->job);
    }
    if (above == TenantTree::kRoot) return;
  }
}

}  // namespace ds::scheduler
