// For how long jobs are kept that have ended, and what of others keeps them.
#include <algorithm>
#include <functional>

#include "scheduler/ledger/ledger.hpp"

namespace ds::scheduler {

/// Of what is forgotten: a client that has heard nothing sends again soon, or never.
constexpr std::size_t kMaxForgottenKeys = 100'000;

namespace {

std::int64_t retained_until_ms(const JobRecord& job) {
  return job.ended_ms + job.spec->retention_ms;
}

}  // namespace

void Ledger::index_end(const JobRecord& job) {
  retained_.emplace(retained_until_ms(job), job.id);
  ended_.emplace(job.ended_ms, job.id);
  index_.end_job(job.id);
}

void Ledger::forget_end(const JobRecord& job) {
  retained_.erase({retained_until_ms(job), job.id});
  ended_.erase({job.ended_ms, job.id});
}

void Ledger::forget_key(const std::string& key) {
  if (key.empty() || !forgotten_keys_.insert(key).second) return;
  forgotten_in_order_.push_back(key);
  if (forgotten_in_order_.size() <= kMaxForgottenKeys) return;
  forgotten_keys_.erase(forgotten_in_order_.front());
  forgotten_in_order_.pop_front();
}

bool Ledger::is_needed(const JobRecord& job) const {
  const auto serves_it = [&](const std::string& id) { return find(id)->served_job == job.id; };
  // One that has started looks at it no more.
  const auto waits_for_it = [&](const std::string& id) {
    const JobRecord& dependent = *find(id);
    return dependent.started_ms == 0 && !is_end(dependent.state);
  };
  return std::ranges::any_of(index_.dependents_of(job.id), waits_for_it) ||
         !index_.workers_of(job.id).empty() || std::ranges::any_of(serving_, serves_it) ||
         !registry_.steps_of(job.id).empty();
}

std::vector<std::string> Ledger::forgettable(std::int64_t now_ms, const EndedBounds& bounds,
                                             const std::function<bool(const std::string&)>& may_go) const {
  std::vector<std::string> jobs;
  const auto take = [&](const std::string& id) {
    const bool goes = may_go(id) && !is_needed(*find(id));
    if (goes) jobs.push_back(id);
    return goes;
  };
  for (const auto& [until_ms, id] : retained_) {
    if (jobs.size() == bounds.limit || until_ms > now_ms) break;
    take(id);
  }
  auto too_many = ended_.size() - std::min(ended_.size(), bounds.most + jobs.size());
  for (const auto& [ended_ms, id] : ended_) {
    if (jobs.size() == bounds.limit || too_many == 0 || ended_ms + bounds.least_age_ms > now_ms) break;
    if (retained_until_ms(*find(id)) > now_ms && take(id)) --too_many;
  }
  return jobs;
}

bool Ledger::on(const Event&, const JobForgotten& body) {
  const auto found = jobs_.find(body.job);
  if (found == jobs_.end() || !is_end(found->second.state) || is_needed(found->second)) return false;
  const JobRecord& job = found->second;
  forget_end(job);
  if (!job.key.empty()) keys_.erase(job.key);
  forget_key(job.key);
  for (const auto& key : job.later_keys) {
    keys_.erase(key);
    forget_key(key);
  }
  serving_.erase(job.id);
  serving_models_.erase(job.id);
  index_.remove_job(keys_of(job));
  history_.forget_job(job.id);
  accounts_.forget_job(job.id);
  counts_.remove(*job.spec, job.state);
  jobs_.erase(found);
  return true;
}

std::vector<std::uint64_t> Ledger::needed_steps(std::string_view source) const {
  std::vector<std::uint64_t> steps = registry_.steps_of(source);
  for (const std::string& id : serving_) {
    const JobRecord* job = find(id);
    if (job->served_job == source && !is_end(job->state)) steps.push_back(job->served_step);
  }
  return steps;
}

}  // namespace ds::scheduler
