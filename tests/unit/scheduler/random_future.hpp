#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "tests/unit/scheduler/random_clusters.hpp"

namespace ds::scheduler::testing {

/// Jobs of random lengths that end at their limit or before. Nobody is held, lost or young.
class Future {
 public:
  /// `has_rests`: the programs of elastic jobs start again when their sizes change, see `ProgramRuns`.
  explicit Future(std::uint64_t seed, bool has_rests = false) : random_(seed), has_rests_(has_rests) {
    cluster_.has_parts = seed % 5 == 0;
    const std::uint32_t nodes = between(random_, 1, 4);
    for (std::uint32_t i = 0; i < nodes; ++i) {
      cluster_.add_node("node" + std::to_string(i), between(random_, 1, 6), between(random_, 4, 16) * kGi);
      if (seed % 3 == 0) add_random_gpus(cluster_.nodes.back(), beside(random_));
    }
  }

  /// The newest is the last of its priority; no more urgent one comes later.
  void submit(std::uint32_t priority) {
    add_random_job(cluster_, random_, next_++);
    Demand& demand = cluster_.demands.back();
    demand.held = demand.is_young = demand.is_new_there = false;
    demand.priority = priority;
    demand.lasts_ms = 1000 * between(random_, 1, 50);
    if (!fits_alone(demand)) {
      cluster_.demands.pop_back();
      return;
    }
    const auto limit = static_cast<std::uint64_t>(demand.lasts_ms);
    left_[demand.job] =
        between(random_, 1, 2) == 1 ? demand.lasts_ms : 1 + static_cast<std::int64_t>(below(random_, limit));
    if (!has_rests_ || demand.workers.min == demand.workers.max) return;
    Random rests = beside(random_);
    demand.will_rest = between(rests, 0, 1) == 0;
    demand.can_relocate = false;
    most_rest_ms_[demand.job] = 1000 * between(rests, 1, 60);
  }

  /// Plans until nothing changes any more at this moment; notes who has started.
  void settle() {
    EXPECT_LT(cluster_.settle(60, [this](const Plan& plan) { note_resizes(plan); }), 60);
    note_starts();
  }
  void note_starts() {
    for (const Demand& demand : cluster_.demands) {
      const auto since = since_.find(demand.job);
      if (cluster_.live(demand.job) > 0) {
        started_.emplace(demand.job, cluster_.now_ms);
        if (since_.emplace(demand.job, cluster_.now_ms).second) starts_[demand.job].insert(cluster_.now_ms);
      } else if (since != since_.end()) {  // it was preempted
        left_[demand.job] -= cluster_.now_ms - since->second;
        since_.erase(since);
      }
    }
  }

  /// To the moment at which the next job ends; false: none runs.
  bool go_on() {
    if (since_.empty()) return false;
    std::multimap<std::int64_t, std::string> ends;
    for (const auto& [job, since] : since_) ends.emplace(since + left_.at(job), job);
    cluster_.now_ms = std::max(cluster_.now_ms, ends.begin()->first);
    for (const auto& [end, job] : ends) {
      if (end > cluster_.now_ms) continue;
      cluster_.end_job(job);
      since_.erase(job);
    }
    rest();
    return true;
  }

  /// Before this moment the job's gang does not end; of some it is the very moment.
  std::int64_t estimate(const std::string& job) const {
    const auto since = since_.find(job);
    return since == since_.end() ? 0 : since->second + left_.at(job) * (job.back() % 2 == 0 ? 3 : 2) / 3;
  }

  bool fits_alone(const Demand& demand) const {
    ClusterModel alone;
    alone.nodes = cluster_.nodes;
    alone.demands = {demand};
    return !alone.plan().placements.empty();
  }

  /// A program begins again at the next moment; until then nothing of it is lost.
  void note_resizes(const Plan& plan) {
    const auto note = [this](const std::string& job, bool is_shrunk) {
      Demand& demand = cluster_.demand(job);
      if (!most_rest_ms_.contains(job)) return;
      demand.grows_to = std::numeric_limits<std::uint32_t>::max();
      demand.is_resting = false;
      demand.will_rest = demand.will_rest || is_shrunk;
      begins_.insert(job);
    };
    for (const Release& release : plan.releases) note(release.job, true);
    for (const Placement& placement : plan.placements) note(placement.job, false);
  }

  void rest() {
    for (Demand& demand : cluster_.demands) {
      if (begins_.erase(demand.job) > 0) {
        demand.grows_to = cluster_.live(demand.job) + 1;
        rests_until_ms_[demand.job] = cluster_.now_ms + (demand.will_rest ? most_rest_ms_[demand.job] : 0);
      }
      const auto rests = rests_until_ms_.find(demand.job);
      if (rests != rests_until_ms_.end()) demand.is_resting = rests->second > cluster_.now_ms;
    }
  }

  Random random_;
  bool has_rests_;
  ClusterModel cluster_;
  std::map<std::string, std::int64_t> left_, started_, since_;  ///< `left_`: as of when its gang began
  std::map<std::string, std::set<std::int64_t>> starts_;
  std::map<std::string, std::int64_t> most_rest_ms_, rests_until_ms_;  ///< of those that start again
  std::set<std::string> begins_;
  int next_ = 0;
};

}  // namespace ds::scheduler::testing
