#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>

#include "scheduler/ledger/job_state.hpp"
#include "scheduler/spec/job_spec.hpp"

namespace ds::scheduler {

/// How many jobs there are of each kind, state and tenant, kept as they come and go: nobody has to look at
/// them all.
class JobCounts {
 public:
  using Group = std::tuple<JobKind, JobState, std::string>;  ///< the last is the tenant

  void add(const JobSpec& spec, JobState state);
  /// One that was counted so; else the process ends.
  void remove(const JobSpec& spec, JobState state);
  void move(const JobSpec& spec, JobState from, JobState to);

  /// None of them is 0.
  const std::map<Group, std::uint64_t, std::less<>>& groups() const { return groups_; }
  /// In states that wait (`is_waiting`).
  std::uint64_t waiting() const { return waiting_; }
  /// In states that are no end.
  std::uint64_t unended() const;

 private:
  std::map<Group, std::uint64_t, std::less<>> groups_;
  std::uint64_t waiting_ = 0;
};

}  // namespace ds::scheduler
