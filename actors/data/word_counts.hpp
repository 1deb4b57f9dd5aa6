#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ds::data {

/// How often each word occurs, by the rules of `next_word`. Not thread-safe; the sum of several does not
/// depend on who counted what.
class WordCounts {
 public:
  void add_text(std::string_view text);
  void add(const WordCounts& other);

  std::size_t size() const { return counts_.size(); }
  /// The most frequent first; equally frequent ones in lexicographic order.
  std::vector<std::pair<std::string, std::uint64_t>> ranked() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>> counts_;
};

}  // namespace ds::data
