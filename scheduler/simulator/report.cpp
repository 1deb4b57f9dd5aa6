#include "scheduler/simulator/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace ds::simulator {
namespace {

/// The finish-time ratio above which Shockwave's authors count a job as treated unfairly.
constexpr double kUnfairRatio = 1.05;

}  // namespace

double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const double place = percent / 100 * static_cast<double>(values.size() - 1);
  const auto lower = static_cast<std::size_t>(std::floor(place));
  const std::size_t upper = std::min(lower + 1, values.size() - 1);
  return values[lower] + (values[upper] - values[lower]) * (place - static_cast<double>(lower));
}

nlohmann::ordered_json to_json(const Outcome& outcome) {
  std::vector<double> times;
  double sum = 0;
  double slot_s = 0;
  double worst = 0;
  std::size_t unfair = 0;
  std::uint64_t restarts = 0;
  const auto count = static_cast<double>(outcome.jobs.size());
  const double crowd = std::max(1.0, count / outcome.cluster_slots);
  for (const JobOutcome& job : outcome.jobs) {
    const double time = job.done_s - job.submitted_s;
    times.push_back(time);
    sum += time;
    slot_s += job.slot_s;
    restarts += job.restarts;
    const double ratio = time / (job.alone_s * crowd);
    worst = std::max(worst, ratio);
    unfair += ratio > kUnfairRatio;
  }
  const double all = outcome.cluster_slots * outcome.makespan_s;
  nlohmann::ordered_json report{
      {"jobs", outcome.jobs.size()},        {"average_jct_s", sum / count},
      {"p50_jct_s", percentile(times, 50)}, {"p90_jct_s", percentile(times, 90)},
      {"p99_jct_s", percentile(times, 99)}, {"makespan_s", outcome.makespan_s},
      {"gpu_hours", slot_s / 3600},         {"restarts", restarts},
      {"worst_finish_time_ratio", worst},   {"unfair_share", static_cast<double>(unfair) / count},
      {"allocated_share", slot_s / all},    {"utilisation", outcome.busy_slot_s / all},
  };
  if (std::any_of(outcome.jobs.begin(), outcome.jobs.end(),
                  [](const JobOutcome& job) { return job.deadline_s.has_value(); }))
    report["deadlines_met"] =
        std::count_if(outcome.jobs.begin(), outcome.jobs.end(),
                      [](const JobOutcome& job) { return job.deadline_s && job.done_s < *job.deadline_s; });
  if (!outcome.decision_ms.empty()) {
    report["decision_ms_p50"] = percentile(outcome.decision_ms, 50);
    report["decision_ms_p99"] = percentile(outcome.decision_ms, 99);
  }
  return report;
}

std::string to_table(const nlohmann::ordered_json& report) {
  std::string table;
  for (const auto& [name, value] : report.items())
    table += value.is_number_float() ? fmt::format("{:<24} {:>14.3f}\n", name, value.get<double>())
                                     : fmt::format("{:<24} {:>14}\n", name, value.get<std::uint64_t>());
  return table;
}

}  // namespace ds::simulator
