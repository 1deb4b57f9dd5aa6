#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds::data {

/// The last `most` words of a text, from which n-grams are read. One thread at a time.
class WordWindow {
 public:
  /// `most` is at least 1.
  explicit WordWindow(std::uint32_t most) : most_(most) {}

  /// The oldest word goes when there are more than `most`.
  void add(std::string_view word);

  std::uint32_t size() const { return static_cast<std::uint32_t>(begins_.size()); }
  /// The last `n` words, 1 to `size()`, a space between each two. Valid until the next change.
  std::string_view newest(std::uint32_t n) const;

 private:
  std::uint32_t most_;
  std::string joined_;
  std::vector<std::size_t> begins_;  // of the words in `joined_`, the oldest first
};

}  // namespace ds::data
