#include "actors/parameters/row_versions.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ds::parameters {

void append_run(std::vector<Run>& runs, std::uint64_t first, std::uint64_t last) {
  if (first == last) return;
  if (!runs.empty() && runs.back().first + runs.back().count == first) {
    runs.back().count += last - first;
  } else {
    runs.push_back({first, last - first});
  }
}

RowVersions::RowVersions(std::vector<RowTable> tables, std::uint64_t elements) : elements_(elements) {
  std::ranges::sort(tables, {}, &RowTable::first);
  std::uint64_t end = 0;
  for (const RowTable& table : tables) {
    if (table.rows == 0 || table.width == 0) continue;
    if (table.first < end || table.first > elements || table.rows > (elements - table.first) / table.width)
      std::abort();
    tables_.push_back({table, std::vector<std::uint64_t>(table.rows)});
    end = tables_.back().end();
  }
}

void RowVersions::set_all(std::uint64_t version) {
  for (Table& table : tables_) std::ranges::fill(table.versions, version);
}

bool RowVersions::touches(std::uint64_t first, std::size_t count) const {
  return std::ranges::any_of(
      tables_, [&](const Table& table) { return table.place.first < first + count && first < table.end(); });
}

void RowVersions::note(std::uint64_t first, std::span<const float> before, std::span<const float> after,
                       std::uint64_t version) {
  const std::uint64_t last = first + before.size();
  for (Table& table : tables_) {
    const std::uint64_t base = table.place.first, width = table.place.width;
    std::uint64_t at = std::max(first, base);
    while (at < std::min(last, table.end())) {
      const std::uint64_t row = (at - base) / width;
      const std::uint64_t end = std::min(last, base + (row + 1) * width);
      const bool changed = std::memcmp(before.data() + (at - first), after.data() + (at - first),
                                       (end - at) * sizeof(float)) != 0;
      if (changed) table.versions[row] = version;
      at = end;
    }
  }
}

std::vector<Run> RowVersions::changed_since(std::uint64_t version) const {
  std::vector<Run> runs;
  std::uint64_t end = 0;
  for (const Table& table : tables_) {
    append_run(runs, end, table.place.first);
    for (std::uint64_t row = 0; row < table.place.rows; ++row) {
      const std::uint64_t first = table.place.first + row * table.place.width;
      if (table.versions[row] > version) append_run(runs, first, first + table.place.width);
    }
    end = table.end();
  }
  append_run(runs, end, elements_);
  return runs;
}

bool saves_half(std::uint64_t values, std::size_t runs, std::uint64_t elements) {
  return 2 * (values * sizeof(float) + runs * sizeof(Run)) <= elements * sizeof(float);
}

}  // namespace ds::parameters
