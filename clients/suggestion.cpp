#include "clients/suggestion.hpp"

#include <algorithm>

namespace ds::clients {
namespace {

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min(
          {cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string nearest_word(std::string_view typed, const std::vector<std::string>& known) {
  constexpr std::size_t kLongestWord = 64;  // nobody mistypes a word of this length; keeps the table small
  std::string best;
  if (typed.empty() || typed.size() > kLongestWord) return best;
  std::size_t best_distance = std::max<std::size_t>(1, typed.size() / 3) + 1;
  for (const auto& word : known) {
    const std::size_t d = distance(typed, word);
    const bool unfinished = typed.size() >= 3 && word.starts_with(typed);
    const std::size_t effective = unfinished ? std::min<std::size_t>(d, 1) : d;
    if (effective < best_distance) {
      best = word;
      best_distance = effective;
    }
  }
  return best;
}

}  // namespace ds::clients
