#include "scheduler/spec/identifier.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace ds::scheduler {
namespace {

constexpr std::size_t kLongestIdentifier = 63;
constexpr std::size_t kLongestWord = 64;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// Slips between two words: insertions, deletions, substitutions, swaps of neighbours.
std::size_t count_slips(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cost((a.size() + 1) * width);
  const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return cost[i * width + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        at(i, j) = i + j;
        continue;
      }
      const std::size_t substitution = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return at(a.size(), b.size());
}

}  // namespace

bool is_identifier(std::string_view name) {
  if (name.empty() || name.size() > kLongestIdentifier || !is_letter_or_digit(name.front())) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

std::string nearest(std::string_view word, std::span<const std::string_view> candidates) {
  word = word.substr(0, kLongestWord);
  std::size_t fewest = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string_view found;
  for (const std::string_view candidate : candidates) {
    const std::size_t slips = count_slips(word, candidate);
    // A word that shares no letter with the candidate is no misspelling of it, however short both are.
    if (slips < fewest && slips < std::max(word.size(), candidate.size())) {
      fewest = slips;
      found = candidate;
    }
  }
  return std::string(found);
}

}  // namespace ds::scheduler
