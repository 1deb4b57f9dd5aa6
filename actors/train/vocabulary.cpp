#include "actors/train/vocabulary.hpp"

#include <algorithm>
#include <utility>

namespace ds::train {
namespace {

bool is_upper(unsigned char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_word(unsigned char c) {
  return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

}  // namespace

std::string next_word(std::string_view& text) {
  const auto begin = std::find_if(text.begin(), text.end(), is_word);
  const auto end = std::find_if_not(begin, text.end(), is_word);
  std::string word(begin, end);
  for (char& c : word) {
    if (is_upper(static_cast<unsigned char>(c))) c = static_cast<char>(c - 'A' + 'a');
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  return word;
}

Vocabulary::Vocabulary(std::vector<std::string> words) : words_(std::move(words)) {
  for (std::size_t i = kReserved; i < words_.size(); ++i)
    numbers_.emplace(words_[i], static_cast<std::int32_t>(i));
}

Vocabulary Vocabulary::of(std::span<const std::string> texts, std::uint32_t limit) {
  std::unordered_map<std::string, std::uint64_t> counts;
  for (std::string_view text : texts) {
    for (std::string word = next_word(text); !word.empty(); word = next_word(text)) ++counts[std::move(word)];
  }
  std::vector<std::pair<std::string, std::uint64_t>> ranked(counts.begin(), counts.end());
  std::ranges::sort(ranked, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (ranked.size() + kReserved > limit) ranked.resize(std::max(limit, kReserved) - kReserved);
  std::vector<std::string> words{"<pad>", "<unknown>"};
  for (auto& [word, count] : ranked) words.push_back(std::move(word));
  return Vocabulary(std::move(words));
}

void Vocabulary::encode(std::string_view text, std::span<std::int32_t> out) const {
  std::ranges::fill(out, kPadding);
  for (std::int32_t& number : out) {
    const std::string word = next_word(text);
    if (word.empty()) return;
    const auto found = numbers_.find(word);
    number = found == numbers_.end() ? kUnknown : found->second;
  }
}

}  // namespace ds::train
