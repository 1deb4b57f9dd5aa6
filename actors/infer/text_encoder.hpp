#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/result.hpp"

namespace ds::data {
class BytePairs;
class Vocabulary;
}  // namespace ds::data

namespace ds::infer {

/// Texts to the numbers of their tokens, as in the training that a model comes from. Immutable; any thread.
class TextEncoder {
 public:
  /// `vocabulary` and `merges` as `data::Preprocessing` has them; without merges tokens are words. Errors:
  /// `invalid_argument` when they can't be what training learnt.
  static Result<TextEncoder> make(std::vector<std::string> vocabulary,
                                  std::vector<std::pair<std::string, std::string>> merges,
                                  std::uint32_t ngrams, std::size_t length);

  std::size_t length() const { return length_; }  ///< tokens a text
  std::int64_t tokens() const;                    ///< that there are; their numbers are below it
  /// The numbers of the text's first tokens, at most `length`.
  void encode(std::string_view text, std::vector<std::int64_t>& out) const;
  /// Fills `out`, of `length` numbers: the first tokens of the text, then padding.
  void encode(std::string_view text, std::span<std::int64_t> out) const;

 private:
  TextEncoder() = default;

  std::shared_ptr<const data::Vocabulary> words_;  ///< one of the two
  std::shared_ptr<const data::BytePairs> pairs_;
  std::size_t length_ = 0;
};

}  // namespace ds::infer
