#include "actors/data/vocabulary.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "actors/data/word_window.hpp"

namespace ds::data {
namespace {

/// What a byte becomes in a word; 0: it separates words.
constexpr std::array<unsigned char, 256> kInWord = [] {
  std::array<unsigned char, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
    if (is_upper) table[c] = static_cast<unsigned char>(c - 'A' + 'a');
    if (is_kept) table[c] = static_cast<unsigned char>(c);
  }
  return table;
}();

unsigned char in_word(char c) {
  return kInWord[static_cast<unsigned char>(c)];
}

}  // namespace

bool take_word(std::string_view& text, std::string& word) {
  word.clear();
  std::size_t at = 0;
  while (at < text.size() && in_word(text[at]) == 0) ++at;
  for (; at < text.size() && in_word(text[at]) != 0; ++at) word += static_cast<char>(in_word(text[at]));
  text.remove_prefix(at);
  return !word.empty();
}

std::string next_word(std::string_view& text) {
  std::string word;
  take_word(text, word);
  return word;
}

Vocabulary::Vocabulary(std::vector<std::string> words, std::uint32_t ngrams)
    : words_(std::make_shared<const std::vector<std::string>>(std::move(words))),
      table_(*words_, kReserved),
      ngrams_(ngrams) {}

Vocabulary Vocabulary::of(std::span<const std::string> texts, std::uint32_t limit, std::uint32_t ngrams) {
  WordCounts counts(ngrams);
  for (const std::string& text : texts) counts.add_text(text);
  return of(counts, limit);
}

Vocabulary Vocabulary::of(const WordCounts& counts, std::uint32_t limit) {
  auto ranked = counts.ranked();
  if (ranked.size() + kReserved > limit) ranked.resize(std::max(limit, kReserved) - kReserved);
  std::vector<std::string> words{"<pad>", "<unknown>"};
  for (auto& [word, count] : ranked) words.push_back(std::move(word));
  return Vocabulary(std::move(words), counts.ngrams());
}

template <class Take>
void Vocabulary::for_each_number(std::string_view text, std::size_t most, Take&& take) const {
  std::array<char, 64> short_word;
  std::string long_word;
  WordWindow window(ngrams_);
  std::size_t at = 0;
  for (std::size_t taken = 0; taken < most; ++taken) {
    while (at < text.size() && in_word(text[at]) == 0) ++at;
    if (at == text.size()) return;
    const std::size_t begin = at;
    std::uint64_t hash = TextTable::kHashStart;
    for (unsigned char c = 0; at < text.size() && (c = in_word(text[at])) != 0; ++at) {
      if (at - begin < short_word.size()) short_word[at - begin] = static_cast<char>(c);
      hash = TextTable::absorb(hash, c);
    }
    std::string_view word(short_word.data(), std::min(at - begin, short_word.size()));
    if (at - begin > short_word.size()) {
      std::string_view rest = text.substr(begin, at - begin);
      take_word(rest, long_word);
      word = long_word;
    }
    const std::int64_t found = table_.find(word, hash);
    take(found < 0 ? kUnknown : static_cast<std::int32_t>(found));
    if (ngrams_ <= 1) continue;
    window.add(word);
    for (std::uint32_t n = 2; n <= window.size() && taken + 1 < most; ++n) {
      const std::int64_t sequence = table_.find(window.newest(n));
      if (sequence < 0) continue;
      take(static_cast<std::int32_t>(sequence));
      ++taken;
    }
  }
}

void Vocabulary::encode(std::string_view text, std::span<std::int32_t> out) const {
  std::ranges::fill(out, kPadding);
  std::size_t at = 0;
  for_each_number(text, out.size(), [&](std::int32_t number) { out[at++] = number; });
}

void Vocabulary::encode(std::string_view text, std::size_t most, std::vector<std::int64_t>& out) const {
  out.clear();
  for_each_number(text, most, [&](std::int32_t number) { out.push_back(number); });
}

}  // namespace ds::data
