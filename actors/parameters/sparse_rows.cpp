#include "actors/parameters/sparse_rows.hpp"

#include <algorithm>
#include <cstring>

#include "actors/parameters/row_versions.hpp"

namespace ds::parameters {
namespace {

/// Most rows of a dense gradient show it in their first element.
bool is_plus_zero(const std::byte* row, std::size_t bytes) {
  std::uint32_t first = 0;
  std::memcpy(&first, row, sizeof first);
  return first == 0 && std::memcmp(row, row + sizeof first, bytes - sizeof first) == 0;
}

}  // namespace

Payload leave_out_zero_rows(const Buffer& gradient, std::span<const RowTable> tables) {
  constexpr std::size_t kWidth = sizeof(float);
  const std::uint64_t elements = gradient.size() / kWidth;
  const std::byte* const from = gradient.bytes().data();
  Payload some{Form::runs, {}, {}};
  std::uint64_t end = 0, values = 0;
  const auto name = [&](std::uint64_t first, std::uint64_t last) {
    append_run(some.runs, first, last);
    values += last - first;
    return saves_half(values, some.runs.size(), elements);
  };
  bool saves = !tables.empty();
  for (const RowTable& table : tables) {
    saves = saves && name(end, table.first);
    end = table.first;
    for (std::uint64_t row = 0; saves && row < table.rows; ++row, end += table.width) {
      if (!is_plus_zero(from + end * kWidth, table.width * kWidth)) saves = name(end, end + table.width);
    }
  }
  if (!saves || !name(end, elements)) return {Form::dense, {}, gradient};
  some.bytes = Buffer::make(values * kWidth, [&](std::span<std::byte> out) {
    std::byte* to = out.data();
    for (const Run& run : some.runs) {
      std::memcpy(to, from + run.first * kWidth, run.count * kWidth);
      to += run.count * kWidth;
    }
  });
  return some;
}

std::vector<RowTable> tables_in(const KeyRange& range, std::span<const RowTable> tables) {
  std::vector<RowTable> found;
  for (const RowTable& table : tables) {
    if (table.width == 0) continue;
    const auto rows_before = [&](std::uint64_t element, std::uint64_t round_up) {
      if (element <= table.first) return std::uint64_t{0};
      return std::min(table.rows, (element - table.first + round_up) / table.width);
    };
    const std::uint64_t first = rows_before(range.first, table.width - 1), last = rows_before(range.last, 0);
    if (first < last)
      found.push_back({table.first + first * table.width - range.first, last - first, table.width});
  }
  return found;
}

}  // namespace ds::parameters
