#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ds::data {

/// How often each word occurs, by the rules of `next_word`; with `ngrams` above 1 also each sequence of 2 to
/// `ngrams` neighbouring words of one text, written with a space between. Not thread-safe.
///
/// Memory is bounded. When there are more than `most` different ones, the rarest are forgotten, all of one
/// count together, until at most half of `most` are left; one that comes again counts from 1. So what is
/// frequent stays, with a count that may be somewhat low (Manku and Motwani, "Approximate Frequency Counts
/// over Data Streams", VLDB 2002, forget likewise). Up to the bound counts are exact and do not depend on the
/// order of texts; beyond it the same calls in the same order give the same counts.
class WordCounts {
 public:
  static constexpr std::size_t kUsual = std::size_t{1} << 21;  ///< about 200 MiB

  explicit WordCounts(std::uint32_t ngrams = 1, std::size_t most = kUsual) : ngrams_(ngrams), most_(most) {}

  void add_text(std::string_view text);
  /// Takes all out of `other`, which was made with the same settings and counts on from nothing.
  void take(WordCounts& other);

  std::uint32_t ngrams() const { return ngrams_; }
  std::size_t size() const { return counts_.size(); }
  /// The most frequent first; equally frequent ones in lexicographic order.
  std::vector<std::pair<std::string, std::uint64_t>> ranked() const;

 private:
  void count(std::string_view words);
  void forget_rarest();

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::uint32_t ngrams_;
  std::size_t most_;
  std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>> counts_;
};

}  // namespace ds::data
