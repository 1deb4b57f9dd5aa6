#include "scheduler/simulator/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "scheduler/policy/elastic/free_slots.hpp"

namespace ds::simulator {
namespace {

using scheduler::ElasticJob;
using scheduler::Slots;

bool is_possible(const scheduler::ElasticCluster& cluster, const std::vector<ElasticJob>& jobs,
                 const std::vector<Slots>& plan) {
  if (plan.size() != jobs.size()) return false;
  std::vector<std::uint32_t> left = cluster.slots;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    if (jobs[i].is_rigid && !plan[i].empty() && plan[i].size() != jobs[i].requested_slots) return false;
    for (const std::uint32_t node : plan[i]) {
      if (node >= left.size() || left[node]-- == 0) return false;
      if (cluster.kind_of(node) != cluster.kind_of(plan[i].front())) return false;
    }
  }
  return true;
}

/// Of sums of times.
constexpr double kRoundingS = 1e-6;
/// Plans at events between rounds are at least so far apart.
constexpr double kEventsApartS = 1;

class Run {
 public:
  Run(Jobs& jobs, const scheduler::ElasticPolicy& policy, const SimulationSettings& settings)
      : jobs_(jobs), policy_(policy), settings_(settings) {
    outcome_.cluster_slots = settings.cluster.total();
    spans_.resize(jobs.size());
    promises_.resize(jobs.size());
    places_.resize(jobs.size());
    rests_.resize(jobs.size());
    earliest_s_.resize(jobs.size());
    answers_.resize(jobs.size());
  }

  Read<Outcome> go() {
    while (next_ < jobs_.size() || !active_.empty()) {
      advance();
      if (now_s_ > jobs_.back()->submitted_s() + settings_.time_limit_s) return refuse(unfinished());
      if (active_.empty()) continue;
      if (!replan())
        return refuse(fmt::format(
            "the policy gave more slots than there are, part of a rigid job's or several kinds, at {} s",
            now_s_));
    }
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      const auto& job = jobs_[i];
      const ElasticJob view = job->view();
      const bool has_run = answers_[i].value_or(true);
      if (has_run) spans_[i].back().to_s = job->done_s();  // it has made steps, so there is one
      outcome_.jobs.push_back({job->name(), job->submitted_s(), job->done_s(), job->alone_s(),
                               view.attained_slot_s, view.restarts, job->deadline_s(), answers_[i],
                               earliest_s_[i], std::move(spans_[i])});
      if (has_run) outcome_.makespan_s = std::max(outcome_.makespan_s, job->done_s());
    }
    return std::move(outcome_);
  }

 private:
  /// When to plan next.
  double next_s() const {
    const double round_s = settings_.cluster.round_s;
    if (policy_.plans_at_submissions() && next_ < jobs_.size()) {
      const double submitted_s = jobs_[next_]->submitted_s();
      return planned_s_ ? std::max(now_s_ + round_s, submitted_s) : submitted_s;
    }
    if (!policy_.plans_at_events()) {
      if (settings_.heeds_events) return next_round_or_event_s();
      if (!active_.empty()) return now_s_ + round_s;
      // The round that sees the next one come; a trace may have months without any.
      return now_s_ + round_s * std::max(1.0, std::ceil((jobs_[next_]->submitted_s() - now_s_) / round_s));
    }
    double event_s = std::numeric_limits<double>::infinity();
    if (next_ < jobs_.size()) event_s = jobs_[next_]->submitted_s();
    if (wake_s_) event_s = std::min(event_s, *wake_s_);
    for (const std::size_t i : active_) {
      if (jobs_[i]->slots().empty()) continue;
      const auto news_s = jobs_[i]->news_s(now_s_);
      if (!news_s) return now_s_ + round_s;
      event_s = std::min(event_s, std::ceil(*news_s - kRoundingS));
    }
    if (!planned_s_) return event_s;  // nobody is there before the first comes
    return std::max(now_s_ + round_s, std::isfinite(event_s) ? event_s : 0);
  }

  /// In whole seconds, as rounds are.
  double next_round_or_event_s() const {
    double next_s = std::numeric_limits<double>::infinity();
    if (!active_.empty()) next_s = now_s_ + settings_.cluster.round_s;
    if (next_ < jobs_.size()) next_s = std::min(next_s, std::ceil(jobs_[next_]->submitted_s()));
    for (const std::size_t i : active_) {
      const auto news_s = jobs_[i]->news_s(now_s_);
      if (news_s) next_s = std::min(next_s, std::ceil(*news_s - kRoundingS));
    }
    return planned_s_ ? std::max(next_s, now_s_ + kEventsApartS) : next_s;
  }

  void advance() {
    const double to_s = next_s();
    for (const std::size_t i : active_)
      outcome_.busy_slot_s +=
          jobs_[i]->advance(now_s_, to_s - now_s_) * static_cast<double>(jobs_[i]->slots().size());
    std::erase_if(active_, [&](std::size_t i) { return jobs_[i]->is_done(); });
    now_s_ = to_s;
    for (; next_ < jobs_.size() && jobs_[next_]->submitted_s() <= now_s_; ++next_) active_.push_back(next_);
  }

  bool replan() {
    std::vector<ElasticJob> views;
    views.reserve(active_.size());
    for (const std::size_t i : active_) {
      views.push_back(jobs_[i]->view());
      if (promises_[i]) views.back().promise = &*promises_[i];
      views.back().place = places_[i];
      views.back().rest = rests_[i];
    }
    const double from_ms = settings_.clock_ms ? settings_.clock_ms() : 0;
    const scheduler::Decision decision = policy_.decide(settings_.cluster, views, now_s_);
    if (settings_.clock_ms) outcome_.decision_ms.push_back(settings_.clock_ms() - from_ms);
    const std::vector<Slots>& plan = decision.slots;
    planned_s_ = now_s_;
    wake_s_ = decision.wake_s;
    if (!is_possible(settings_.cluster, views, plan)) return false;
    for (std::size_t i = 0; i < plan.size(); ++i) {
      if (plan[i] != jobs_[active_[i]]->slots()) give(active_[i], plan[i]);
    }
    for (std::size_t i = 0; i < decision.places.size(); ++i) places_[active_[i]] = decision.places[i];
    for (std::size_t i = 0; i < decision.rests.size(); ++i) rests_[active_[i]] = decision.rests[i];
    if (next_ < jobs_.size()) {
      for (const std::size_t i : active_) jobs_[i]->note_plan(plans_with_more_);
      ++plans_with_more_;
    }
    if (!decision.answers.empty()) take_answers(decision.answers);
    return true;
  }

  /// Keeps what is promised, and sends away who is refused.
  void take_answers(const std::vector<scheduler::DeadlineAnswer>& answers) {
    for (std::size_t k = 0; k < active_.size(); ++k) {
      const std::size_t i = active_[k];
      promises_[i] = answers[k].promise;
      answers_[i] = answers[k].promise.has_value();
      earliest_s_[i] = answers[k].earliest_s;
    }
    std::erase_if(active_, [&](std::size_t i) { return !*answers_[i]; });
  }

  void give(std::size_t job, const Slots& slots) {
    if (!jobs_[job]->slots().empty()) spans_[job].back().to_s = now_s_;
    if (!slots.empty()) spans_[job].push_back({now_s_, now_s_, static_cast<std::uint32_t>(slots.size())});
    jobs_[job]->give(slots, now_s_);
  }

  std::string unfinished() const {
    const std::string& first = jobs_[active_.empty() ? next_ : active_.front()]->name();
    return fmt::format(
        "{} of {} jobs are not done {} days after the last submission, {} among them: can the cluster "
        "hold it?",
        active_.size() + jobs_.size() - next_, jobs_.size(), settings_.time_limit_s / 86400, first);
  }

  Jobs& jobs_;
  const scheduler::ElasticPolicy& policy_;
  const SimulationSettings& settings_;
  std::vector<std::size_t> active_;  ///< submitted and not done, in the order of submission
  std::size_t next_ = 0;             ///< to be submitted
  std::vector<std::vector<SlotSpan>> spans_;
  std::vector<std::optional<scheduler::Promise>> promises_;
  std::vector<std::optional<scheduler::QueuePlace>> places_;
  std::vector<scheduler::SizeRest> rests_;
  std::vector<std::optional<bool>> answers_;  ///< whether its deadline was accepted
  std::vector<std::optional<double>> earliest_s_;
  double now_s_ = 0;
  std::optional<double> planned_s_;    ///< when the policy planned last
  std::optional<double> wake_s_;       ///< as the policy asked for
  std::uint64_t plans_with_more_ = 0;  ///< while more jobs were to come
  Outcome outcome_;
};

}  // namespace

Read<Outcome> simulate(Jobs& jobs, const scheduler::ElasticPolicy& policy,
                       const SimulationSettings& settings) {
  return Run(jobs, policy, settings).go();
}

}  // namespace ds::simulator
