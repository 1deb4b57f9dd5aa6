#include "scheduler/simulator/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace ds::simulator {
namespace {

/// The finish-time ratio above which Shockwave's authors count a job as treated unfairly.
constexpr double kUnfairRatio = 1.05;
/// Of sums of times.
constexpr double kRoundingS = 1e-6;

void add_times(const Outcome& outcome, nlohmann::ordered_json& report) {
  std::vector<double> times;
  double slot_s = 0;
  double worst = 0;
  std::size_t unfair = 0;
  std::uint64_t restarts = 0;
  const double crowd = std::max(1.0, static_cast<double>(outcome.jobs.size()) / outcome.cluster_slots);
  for (const JobOutcome& job : outcome.jobs) {
    if (job.was_refused()) continue;
    const double time = job.done_s - job.submitted_s;
    times.push_back(time);
    slot_s += job.slot_s;
    restarts += job.restarts;
    const double ratio = time / (job.alone_s * crowd);
    worst = std::max(worst, ratio);
    unfair += ratio > kUnfairRatio;
  }
  if (times.empty()) return;
  const auto count = static_cast<double>(times.size());
  const double all = outcome.cluster_slots * outcome.makespan_s;
  report["average_jct_s"] = std::accumulate(times.begin(), times.end(), 0.0) / count;
  report["p50_jct_s"] = percentile(times, 50);
  report["p90_jct_s"] = percentile(times, 90);
  report["p99_jct_s"] = percentile(times, 99);
  report["makespan_s"] = outcome.makespan_s;
  report["gpu_hours"] = slot_s / 3600;
  report["restarts"] = restarts;
  report["worst_finish_time_ratio"] = worst;
  report["unfair_share"] = static_cast<double>(unfair) / count;
  report["allocated_share"] = slot_s / all;
  report["utilisation"] = outcome.busy_slot_s / all;
}

void add_deadlines(const Outcome& outcome, nlohmann::ordered_json& report) {
  std::size_t with_deadline = 0;
  std::size_t met = 0;
  std::size_t admitted = 0;
  std::size_t late = 0;
  auto refusals = nlohmann::ordered_json::array();
  bool were_answered = false;
  for (const JobOutcome& job : outcome.jobs) {
    if (!job.deadline_s) continue;
    ++with_deadline;
    const bool is_met = !job.was_refused() && job.done_s <= *job.deadline_s + kRoundingS;
    met += is_met;
    if (!job.is_admitted) continue;
    were_answered = true;
    admitted += *job.is_admitted;
    late += *job.is_admitted && !is_met;
    if (!job.was_refused()) continue;
    refusals.push_back({{"job", job.name}, {"deadline_s", *job.deadline_s}});
    if (job.earliest_deadline_s) refusals.back()["earliest_s"] = *job.earliest_deadline_s;
  }
  if (with_deadline == 0) return;
  report["deadlines_met"] = met;
  if (!were_answered) return;
  report["admitted"] = admitted;
  report["refused"] = refusals.size();
  report["late"] = late;
  report["refusals"] = std::move(refusals);
}

}  // namespace

double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const double place = percent / 100 * static_cast<double>(values.size() - 1);
  const auto lower = static_cast<std::size_t>(std::floor(place));
  const std::size_t upper = std::min(lower + 1, values.size() - 1);
  return values[lower] + (values[upper] - values[lower]) * (place - static_cast<double>(lower));
}

nlohmann::ordered_json to_json(const Outcome& outcome) {
  nlohmann::ordered_json report{{"jobs", outcome.jobs.size()}};
  add_times(outcome, report);
  add_deadlines(outcome, report);
  if (!outcome.decision_ms.empty()) {
    report["decision_ms_p50"] = percentile(outcome.decision_ms, 50);
    report["decision_ms_p99"] = percentile(outcome.decision_ms, 99);
  }
  return report;
}

std::string to_table(const nlohmann::ordered_json& report) {
  std::string table;
  for (const auto& [name, value] : report.items()) {
    if (value.is_array()) continue;
    table += value.is_number_float() ? fmt::format("{:<24} {:>14.3f}\n", name, value.get<double>())
                                     : fmt::format("{:<24} {:>14}\n", name, value.get<std::uint64_t>());
  }
  return table;
}

}  // namespace ds::simulator
