#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/data/text_table.hpp"
#include "actors/data/word_counts.hpp"

namespace ds::data {

/// The next word of `text` in lower case, which is then cut off its front; empty at the end.
///
/// A word is a longest run of ASCII letters and digits and of bytes from 0x80 (so that UTF-8 characters stay
/// whole; they are not lower-cased). Everything else separates. Does not depend on the locale.
std::string next_word(std::string_view& text);
/// The same into `word`; false at the end.
bool take_word(std::string_view& text, std::string& word);

/// The words that a model knows, numbered. Immutable; any thread.
///
/// With `ngrams` above 1 some of them are sequences of 2 to `ngrams` neighbouring words, a space between. A
/// text then becomes its words, each followed by those sequences that end with it, the shorter first. A word
/// that the vocabulary lacks is `<unknown>`, a sequence that it lacks is left out.
class Vocabulary {
 public:
  static constexpr std::int32_t kPadding = 0;
  static constexpr std::int32_t kUnknown = 1;
  static constexpr std::uint32_t kReserved = 2;

  /// Takes the most frequent words, as many as fit `limit` together with the two reserved ones; equally
  /// frequent ones in lexicographic order.
  static Vocabulary of(std::span<const std::string> texts, std::uint32_t limit, std::uint32_t ngrams = 1);
  static Vocabulary of(const WordCounts& counts, std::uint32_t limit);
  /// By number, the reserved ones in front: what `words()` gave, with the `ngrams` they were counted with.
  explicit Vocabulary(std::vector<std::string> words, std::uint32_t ngrams = 1);

  std::uint32_t size() const { return static_cast<std::uint32_t>(words_->size()); }

  /// By number; the reserved ones are `<pad>` and `<unknown>`, which no text contains as a word.
  const std::vector<std::string>& words() const { return *words_; }

  /// Writes the numbers of the first tokens of `text`, then padding.
  void encode(std::string_view text, std::span<std::int32_t> out) const;
  /// The numbers of the first `most` tokens.
  void encode(std::string_view text, std::size_t most, std::vector<std::int64_t>& out) const;

 private:
  template <class Take>
  void for_each_number(std::string_view text, std::size_t most, Take&& take) const;

  std::shared_ptr<const std::vector<std::string>> words_;  // the table points into it
  TextTable table_;
  std::uint32_t ngrams_;
};

}  // namespace ds::data
