#include "storage/dataset/nearest_name.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "storage/log/log_store.hpp"

namespace ds::storage {

namespace {

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// How many characters must be put in, taken out or replaced to make one of the other (Levenshtein).
std::size_t count_edits(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (to_lower(left[i]) == to_lower(right[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string> find_nearest_name(std::string_view name, std::span<const std::string> candidates) {
  constexpr std::size_t kMaxNameBytes =
      128;  // nobody mistypes longer ones, and the table grows with the square
  if (name.size() > kMaxNameBytes) return std::nullopt;
  std::optional<std::string> nearest;
  std::size_t fewest = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > kMaxNameBytes) continue;
    const std::size_t edits = count_edits(name, candidate);
    if (edits >= fewest || edits >= std::max(name.size(), candidate.size())) continue;
    fewest = edits;
    nearest = candidate;
  }
  return nearest;
}

std::string describe_columns(std::string_view wanted, std::span<const std::string_view> names) {
  constexpr std::size_t kMaxShown = 20;
  std::vector<std::string> printable;
  for (const std::string_view name : names) printable.push_back(escape_control_characters(name));
  const auto nearest = find_nearest_name(wanted, printable);
  const std::size_t shown = std::min(printable.size(), kMaxShown);
  return fmt::format(
      "{}The columns are: {}{}", nearest ? fmt::format("Did you mean \"{}\"? ", *nearest) : "",
      fmt::join(printable.begin(), printable.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
      shown < printable.size() ? ", …" : "");
}

}  // namespace ds::storage
