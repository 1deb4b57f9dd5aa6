#include "scheduler/simulator/throughput_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <system_error>
#include <vector>

#include "scheduler/simulator/csv_table.hpp"

namespace ds::simulator {
namespace {

constexpr std::array kColumns{
    Column{"global_batch_size", Cell::count},  Column{"1", Cell::at_least_zero_or_none},
    Column{"2", Cell::at_least_zero_or_none},  Column{"4", Cell::at_least_zero_or_none},
    Column{"8", Cell::at_least_zero_or_none},  Column{"16", Cell::at_least_zero_or_none},
    Column{"32", Cell::at_least_zero_or_none}, Column{"64", Cell::at_least_zero_or_none},
};

Read<ThroughputTable> read_table(const std::filesystem::path& file) {
  const auto cells = CsvTable::read(file, kColumns);
  if (!cells) return tl::unexpected(cells.error());
  ThroughputTable table;
  for (std::size_t row = 0; row < cells->rows(); ++row) {
    const auto [at, is_new] = table.try_emplace(cells->count(row, 0));
    if (!is_new)
      return refuse(fmt::format("{}:{}:{}: global_batch_size: {} has a row already", file.string(), row + 2,
                                cells->place(row, 0), at->first));
    for (std::size_t column = 1; column < kColumns.size(); ++column) {
      const double rate = cells->number(row, column);
      if (rate > 0) at->second.add(1U << (column - 1), rate);
    }
  }
  return table;
}

}  // namespace

double StepRates::at(std::uint32_t slots) const {
  const auto above = rates_.upper_bound(slots);
  return above == rates_.begin() ? 0 : std::prev(above)->second;
}

Read<std::map<std::string, ThroughputTable>> read_throughputs(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() == ".csv") files.push_back(at->path());
  }
  if (error) return refuse(fmt::format("{}: there is no such folder of throughputs", folder.string()));
  if (files.empty())
    return refuse(fmt::format("{}: has no MODEL.csv with the throughputs of a model", folder.string()));
  std::sort(files.begin(), files.end());  // so that of several wrong files the same one is named
  std::map<std::string, ThroughputTable> models;
  for (const auto& file : files) {
    auto table = read_table(file);
    if (!table) return tl::unexpected(table.error());
    models.emplace(file.stem().string(), std::move(*table));
  }
  return models;
}

}  // namespace ds::simulator
