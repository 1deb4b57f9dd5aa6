#include "scheduler/simulator/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::simulator {
namespace {

using scheduler::ElasticJob;
using scheduler::Slots;

bool is_possible(const scheduler::ElasticCluster& cluster, const std::vector<Slots>& plan) {
  std::vector<std::uint32_t> left = cluster.slots;
  for (const Slots& slots : plan) {
    for (const std::uint32_t node : slots) {
      if (node >= left.size() || left[node]-- == 0) return false;
    }
  }
  return true;
}

class Run {
 public:
  Run(Jobs& jobs, const scheduler::ElasticPolicy& policy, const SimulationSettings& settings)
      : jobs_(jobs), policy_(policy), settings_(settings) {
    outcome_.cluster_slots = settings.cluster.total();
  }

  Read<Outcome> go() {
    while (next_ < jobs_.size() || !active_.empty()) {
      advance();
      if (now_s_ > settings_.time_limit_s) return refuse(unfinished());
      if (active_.empty()) continue;
      if (!replan()) return refuse(fmt::format("the policy gave more slots than there are at {} s", now_s_));
    }
    for (const auto& job : jobs_) {
      const ElasticJob view = job->view();
      outcome_.jobs.push_back({job->name(), job->submitted_s(), job->done_s(), job->alone_s(),
                               view.attained_slot_s, view.restarts, job->deadline_s()});
      outcome_.makespan_s = std::max(outcome_.makespan_s, job->done_s());
    }
    return std::move(outcome_);
  }

 private:
  void advance() {
    for (SimulatedJob* job : active_)
      outcome_.busy_slot_s +=
          job->advance(now_s_, settings_.cluster.round_s) * static_cast<double>(job->slots().size());
    std::erase_if(active_, [](const SimulatedJob* job) { return job->is_done(); });
    now_s_ += settings_.cluster.round_s;
    for (; next_ < jobs_.size() && jobs_[next_]->submitted_s() <= now_s_; ++next_)
      active_.push_back(jobs_[next_].get());
  }

  bool replan() {
    std::vector<ElasticJob> views;
    views.reserve(active_.size());
    for (const SimulatedJob* job : active_) views.push_back(job->view());
    const double from_ms = settings_.clock_ms ? settings_.clock_ms() : 0;
    const std::vector<Slots> plan = policy_.plan(settings_.cluster, views, now_s_);
    if (settings_.clock_ms) outcome_.decision_ms.push_back(settings_.clock_ms() - from_ms);
    if (plan.size() != active_.size() || !is_possible(settings_.cluster, plan)) return false;
    for (std::size_t i = 0; i < plan.size(); ++i) {
      if (plan[i] != active_[i]->slots()) active_[i]->give(plan[i], now_s_);
    }
    return true;
  }

  std::string unfinished() const {
    std::string first = active_.empty() ? jobs_[next_]->name() : active_.front()->name();
    return fmt::format("{} of {} jobs are not done after {} days, {} among them: can the cluster hold it?",
                       active_.size() + jobs_.size() - next_, jobs_.size(), settings_.time_limit_s / 86400,
                       first);
  }

  Jobs& jobs_;
  const scheduler::ElasticPolicy& policy_;
  const SimulationSettings& settings_;
  std::vector<SimulatedJob*> active_;  ///< submitted and not done, in the order of submission
  std::size_t next_ = 0;               ///< to be submitted
  double now_s_ = 0;
  Outcome outcome_;
};

}  // namespace

Read<Outcome> simulate(Jobs& jobs, const scheduler::ElasticPolicy& policy,
                       const SimulationSettings& settings) {
  return Run(jobs, policy, settings).go();
}

}  // namespace ds::simulator
