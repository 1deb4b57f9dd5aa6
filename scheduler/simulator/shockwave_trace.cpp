#include "scheduler/simulator/shockwave_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "scheduler/simulator/csv_table.hpp"

namespace ds::simulator {

Read<std::vector<RigidSubmission>> read_shockwave_workload(const std::filesystem::path& file) {
  constexpr std::array kColumns{Column{"job", Cell::text}, Column{"arrival_s", Cell::trace_time},
                                Column{"gpus", Cell::count}, Column{"epochs", Cell::count},
                                Column{"seconds_per_epoch", Cell::positive}};
  const auto table = CsvTable::read(file, kColumns);
  if (!table) return tl::unexpected(table.error());
  std::vector<RigidSubmission> jobs;
  std::set<std::string> names;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const auto refuse_cell = [&](std::size_t column, const std::string& why) {
      return refuse(fmt::format("{}:{}:{}: {}", file.string(), row + 2, table->place(row, column), why));
    };
    const std::string& name = table->text(row, 0);
    if (jobs.empty() || jobs.back().name != name) {
      if (!names.insert(name).second)
        return refuse_cell(0, fmt::format("job: the rows of {} must stand one below the other", name));
      jobs.push_back({.name = name,
                      .submitted_s = table->number(row, 1),
                      .slots = table->count(row, 2),
                      .at = table->at(row, 2)});
    }
    RigidSubmission& job = jobs.back();
    if (table->number(row, 1) != job.submitted_s)
      return refuse_cell(1,
                         fmt::format("arrival_s: {} came at {} s in its first row", name, job.submitted_s));
    if (table->count(row, 2) != job.slots)
      return refuse_cell(2, fmt::format("gpus: {} asked for {} in its first row", name, job.slots));
    job.runs.push_back({table->count(row, 3), table->number(row, 4)});
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const auto& a, const auto& b) { return a.submitted_s < b.submitted_s; });
  return jobs;
}

}  // namespace ds::simulator
