#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/data/text_table.hpp"
#include "actors/data/word_counts.hpp"

namespace ds::data {

/// Tokens that are parts of words, learnt by joining the most frequent pair of neighbours again and again
/// (Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016).
///
/// Words are those of `next_word`; their first character carries the mark `▁`, so that tokens put end to end
/// are the text again. Characters (UTF-8) that the training texts don't have are `<unknown>`. Immutable; any
/// thread.
class BytePairs {
 public:
  using Merges = std::vector<std::pair<std::string, std::string>>;

  /// Up to `limit` tokens: two reserved ones as `Vocabulary` has, the characters, then a token for each
  /// merge. Of equally frequent pairs the lexicographically first is joined; a pair that occurs once never.
  static BytePairs learn(const WordCounts& counts, std::uint32_t limit);
  /// What `tokens()` and `merges()` gave.
  BytePairs(std::vector<std::string> tokens, Merges merges);

  const std::vector<std::string>& tokens() const { return *tokens_; }
  const Merges& merges() const { return merges_; }

  /// The numbers of the first `most` tokens of `text`.
  void encode(std::string_view text, std::size_t most, std::vector<std::int64_t>& out) const;

 private:
  void encode_word(std::string_view word, std::vector<std::uint32_t>& parts) const;

  struct Slot {
    std::uint64_t pair = 0;  // left in the upper half
    std::uint32_t rank = 0;  // plus one; 0: empty
    std::uint32_t joined = 0;
  };
  const Slot* find_pair(std::uint32_t left, std::uint32_t right) const;

  std::shared_ptr<const std::vector<std::string>> tokens_;
  Merges merges_;
  TextTable table_;
  std::vector<Slot> pairs_;
  std::uint64_t mask_ = 0;
};

}  // namespace ds::data
