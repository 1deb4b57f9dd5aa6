#include "actors/data/word_counts.hpp"

#include <algorithm>

#include "actors/data/vocabulary.hpp"
#include "actors/data/word_window.hpp"

namespace ds::data {

void WordCounts::add_text(std::string_view text) {
  std::string word;
  WordWindow window(ngrams_);
  while (take_word(text, word)) {
    count(word);
    if (ngrams_ <= 1) continue;
    window.add(word);
    for (std::uint32_t n = 2; n <= window.size(); ++n) count(window.newest(n));
  }
}

void WordCounts::count(std::string_view words) {
  const auto found = counts_.find(words);
  if (found != counts_.end()) {
    ++found->second;
    return;
  }
  counts_.emplace(words, 1);
  if (counts_.size() > most_) forget_rarest();
}

void WordCounts::take(WordCounts& other) {
  if (counts_.empty()) counts_.swap(other.counts_);
  while (!other.counts_.empty()) {
    auto added = counts_.insert(other.counts_.extract(other.counts_.begin()));
    if (!added.inserted) added.position->second += added.node.mapped();
  }
  // Once for all of them: which come first here depends on the hash table.
  if (counts_.size() > most_) forget_rarest();
}

void WordCounts::forget_rarest() {
  std::vector<std::uint64_t> counts;
  counts.reserve(counts_.size());
  for (const auto& [words, count] : counts_) counts.push_back(count);
  // Whatever is not above the count that follows the `most_ / 2` highest goes.
  const auto first_gone = counts.begin() + static_cast<std::ptrdiff_t>(most_ / 2);
  std::ranges::nth_element(counts, first_gone, std::greater<>());
  std::erase_if(counts_, [least = *first_gone](const auto& one) { return one.second <= least; });
}

std::vector<std::pair<std::string, std::uint64_t>> WordCounts::ranked() const {
  std::vector<std::pair<std::string, std::uint64_t>> ranked(counts_.begin(), counts_.end());
  std::ranges::sort(ranked, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return ranked;
}

}  // namespace ds::data
