#include "actors/data/word_counts.hpp"

#include <algorithm>

#include "actors/data/vocabulary.hpp"

namespace ds::data {

void WordCounts::add_text(std::string_view text) {
  std::string word;
  while (take_word(text, word)) {
    const auto found = counts_.find(std::string_view(word));
    if (found != counts_.end())
      ++found->second;
    else
      counts_.emplace(word, 1);
  }
}

void WordCounts::add(const WordCounts& other) {
  for (const auto& [word, count] : other.counts_) counts_[word] += count;
}

std::vector<std::pair<std::string, std::uint64_t>> WordCounts::ranked() const {
  std::vector<std::pair<std::string, std::uint64_t>> ranked(counts_.begin(), counts_.end());
  std::ranges::sort(ranked, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return ranked;
}

}  // namespace ds::data
