#include "scheduler/policy/waiting_line.hpp"

namespace ds::scheduler {

void WaitingLine::add(const Job& job, std::size_t keeps_back, const Claim& claim) {
  std::size_t& own = lines_[job.queue].own;
  Line& line = lines_[keeps_back];
  if (own < kMaxBlockingJobs) line.some.push_back(&job);
  ++own;
  ++line.keeping_back;
  for (std::size_t queue = job.queue; queue != keeps_back; queue = tenants_[queue].parent) {
    Line& above = lines_[tenants_[queue].parent];
    ++lines_[queue].passing;
    ++above.passing_below;
    if (!claim.counts_at(tenants_[queue].depth)) continue;
    ++lines_[queue].claiming;
    ++above.claiming_below;
  }
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
  return all - lines_[queue].own;  // its own all keep back some queue on this way
}

const WaitingLine::Job* WaitingLine::first_before(std::size_t queue) const {
  for (std::size_t above = queue;; above = tenants_[above].parent) {
    for (const Job* job : lines_[above].some) {
      if (job->queue != queue) return job;
    }
    if (above == TenantTree::kRoot) return nullptr;
  }
}

std::vector<const WaitingLine::Job*> WaitingLine::blockers(std::size_t queue) const {
  std::vector<const Job*> found;
  for (std::size_t above = queue;; above = tenants_[above].parent) {
    for (const Job* job : lines_[above].some) {
      if (found.size() < kMaxBlockers) found.push_back(job);
    }
    if (above == TenantTree::kRoot) return found;
  }
}

std::optional<TurnFacts> WaitingLine::describe_turn(const Job& job) const {
  const Job* first = first_before(job.queue);
  if (first == nullptr) return std::nullopt;
  TurnFacts turn;
  turn.jobs = count_others(job.queue);
  turn.first_queue = tenants_.full_name(first->queue);
  turn.own_queue = tenants_.full_name(job.queue);
  const auto meeting = tenants_.meet(first->queue, job.queue);
  turn.first_side = tenants_.full_name(meeting.a_side);
  turn.own_side = tenants_.full_name(meeting.b_side);
  const std::size_t depth = tenants_[meeting.at].depth;
  turn.has_gpu_guarantees = tenants_.guarantees_gpus();
  turn.is_first_guaranteed = first->guaranteed_levels > depth && job.guaranteed_levels <= depth;
  for (std::size_t above = job.queue;; above = tenants_[above].parent) {
    for (const Job* one : lines_[above].some) {
      if (turn.names.size() == kMaxBlockingJobs) return turn;
      if (one->queue != job.queue) turn.names.push_back(one->demand.job);
    }
    if (above == TenantTree::kRoot) return turn;
  }
}

}  // namespace ds::scheduler
