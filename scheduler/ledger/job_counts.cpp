#include "scheduler/ledger/job_counts.hpp"

#include <cstdlib>
#include <string_view>

namespace ds::scheduler {
namespace {

std::tuple<JobKind, JobState, std::string_view> group_of(const JobSpec& spec, JobState state) {
  return {spec.kind, state, spec.tenant};
}

}  // namespace

void JobCounts::add(const JobSpec& spec, JobState state) {
  waiting_ += is_waiting(state) ? 1 : 0;
  const auto found = groups_.find(group_of(spec, state));
  found == groups_.end() ? void(groups_.emplace(Group{spec.kind, state, spec.tenant}, 1))
                         : void(++found->second);
}

void JobCounts::remove(const JobSpec& spec, JobState state) {
  waiting_ -= is_waiting(state) ? 1 : 0;
  const auto found = groups_.find(group_of(spec, state));
  if (found == groups_.end()) std::abort();  // it was not counted so
  if (--found->second == 0) groups_.erase(found);
}

std::uint64_t JobCounts::unended() const {
  std::uint64_t count = 0;
  for (const auto& [group, jobs] : groups_) count += is_end(std::get<JobState>(group)) ? 0 : jobs;
  return count;
}

void JobCounts::move(const JobSpec& spec, JobState from, JobState to) {
  if (from == to) return;
  add(spec, to);
  remove(spec, from);
}

}  // namespace ds::scheduler
