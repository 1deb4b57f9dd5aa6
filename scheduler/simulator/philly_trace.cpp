#include "scheduler/simulator/philly_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <optional>

#include "scheduler/simulator/csv_table.hpp"

namespace ds::simulator {
namespace {

/// Seconds since 1970; nothing when it is no time.
std::optional<double> to_seconds(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  int length = 0;
  const int read = std::sscanf(text.c_str(), "%4d-%2u-%2u %2u:%2u:%2u%n", &year, &month, &day, &hour, &minute,
                               &second, &length);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (read != 6 || static_cast<std::size_t>(length) != text.size() || !date.ok() || hour > 23 ||
      minute > 59 || second > 59)
    return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86400.0 + hour * 3600.0 + minute * 60.0 + second;
}

}  // namespace

Read<std::vector<RigidSubmission>> read_philly_workload(const std::filesystem::path& file) {
  constexpr std::array kColumns{Column{"timestamp", Cell::text}, Column{"duration", Cell::positive},
                                Column{"num_gpus", Cell::count}};
  const auto table = CsvTable::read(file, kColumns);
  if (!table) return tl::unexpected(table.error());
  std::vector<RigidSubmission> jobs;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const auto submitted_s = to_seconds(table->text(row, 0));
    if (!submitted_s)
      return refuse(fmt::format("{}:{}:{}: timestamp: expected YYYY-MM-DD hh:mm:ss, got \"{}\"",
                                file.string(), row + 2, table->place(row, 0), table->text(row, 0)));
    jobs.push_back({.name = fmt::format("line {}", row + 2),
                    .submitted_s = *submitted_s,
                    .slots = table->count(row, 2),
                    .runs = {{1, table->number(row, 1)}},
                    .has_plan = false,
                    .at = table->at(row, 2)});
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const auto& a, const auto& b) { return a.submitted_s < b.submitted_s; });
  const double first_s = jobs.front().submitted_s;
  if (const RigidSubmission& last = jobs.back(); last.submitted_s - first_s > kMaxTraceS)
    return refuse(fmt::format("{}:{}:{}: timestamp: expected ten years after the first one at most, got {}",
                              file.string(), last.at.line, table->place(last.at.line - 2, 0),
                              table->text(last.at.line - 2, 0)));
  for (RigidSubmission& job : jobs) job.submitted_s -= first_s;
  return jobs;
}

}  // namespace ds::simulator
