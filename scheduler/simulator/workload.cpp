#include "scheduler/simulator/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "scheduler/simulator/csv_table.hpp"

namespace ds::simulator {
namespace {

std::optional<std::uint32_t> to_count(std::string_view text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > most)
    return std::nullopt;
  return value;
}

std::string list_names(const std::map<std::string, ApplicationProfile>& applications) {
  std::string names;
  for (const auto& [name, profile] : applications) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace

Read<std::vector<PolluxSubmission>> read_pollux_workload(
    const std::filesystem::path& file, const std::map<std::string, ApplicationProfile>& applications) {
  constexpr std::array kColumns{Column{"name", Cell::text}, Column{"time"}, Column{"application", Cell::text},
                                Column{"num_replicas", Cell::count}, Column{"batch_size", Cell::positive}};
  auto table = CsvTable::read(file, kColumns);
  if (!table) return tl::unexpected(table.error());
  std::vector<PolluxSubmission> jobs;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const std::string& name = table->text(row, 2);
    const auto found = applications.find(name);
    if (found == applications.end())
      return refuse(fmt::format("{}:{}:{}: application: there is no profile of \"{}\", only of {}",
                                file.string(), row + 2, table->place(row, 2), name,
                                list_names(applications)));
    jobs.push_back({table->text(row, 0), table->number(row, 1), &found->second, table->count(row, 3),
                    table->number(row, 4)});
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const auto& a, const auto& b) { return a.submitted_s < b.submitted_s; });
  return jobs;
}

Read<scheduler::ElasticCluster> parse_cluster(std::string_view text) {
  const std::size_t times = text.find('x');
  const auto nodes = to_count(text.substr(0, times), 65'536);
  const auto slots = times == std::string_view::npos ? std::nullopt : to_count(text.substr(times + 1), 64);
  if (!nodes || !slots)
    return refuse(fmt::format(
        "--cluster: expected nodes x slots of each, such as 16x4 (at most 65536x64), got \"{}\"", text));
  scheduler::ElasticCluster cluster;
  cluster.slots.assign(*nodes, *slots);
  return cluster;
}

}  // namespace ds::simulator
