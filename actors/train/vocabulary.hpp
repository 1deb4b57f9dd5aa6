#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ds::train {

/// The next word of `text` in lower case, which is then cut off its front; empty at the end.
///
/// A word is a longest run of ASCII letters and digits and of bytes from 0x80 (so that UTF-8 characters stay
/// whole; they are not lower-cased). Everything else separates. Does not depend on the locale.
std::string next_word(std::string_view& text);

/// The words that a model knows, numbered. Immutable; any thread.
class Vocabulary {
 public:
  static constexpr std::int32_t kPadding = 0;
  static constexpr std::int32_t kUnknown = 1;
  static constexpr std::uint32_t kReserved = 2;

  /// Takes the most frequent words, as many as fit `limit` together with the two reserved ones; equally
  /// frequent ones in lexicographic order.
  static Vocabulary of(std::span<const std::string> texts, std::uint32_t limit);

  std::uint32_t size() const { return static_cast<std::uint32_t>(words_.size()); }

  /// By number; the reserved ones are `<pad>` and `<unknown>`, which no text contains as a word.
  const std::vector<std::string>& words() const { return words_; }

  /// Writes the numbers of the first words of `text`, then padding.
  void encode(std::string_view text, std::span<std::int32_t> out) const;

 private:
  explicit Vocabulary(std::vector<std::string> words);

  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int32_t> numbers_;
};

}  // namespace ds::train
