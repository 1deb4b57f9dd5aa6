#include "actors/infer/text_encoder.hpp"

#include <algorithm>

#include "actors/data/byte_pairs.hpp"
#include "actors/data/vocabulary.hpp"

namespace ds::infer {
namespace {

constexpr std::uint32_t kMostWords = 64;  // of a token: `ngrams`

}  // namespace

Result<TextEncoder> TextEncoder::make(std::vector<std::string> vocabulary,
                                      std::vector<std::pair<std::string, std::string>> merges,
                                      std::uint32_t ngrams, std::size_t length) {
  if (vocabulary.size() < data::Vocabulary::kReserved || ngrams == 0 || ngrams > kMostWords || length == 0)
    return fail(ErrorCode::invalid_argument, "its vocabulary is not one that training has written");
  TextEncoder encoder;
  encoder.length_ = length;
  if (merges.empty()) {
    encoder.words_ = std::make_shared<data::Vocabulary>(std::move(vocabulary), ngrams);
  } else {
    encoder.pairs_ = std::make_shared<data::BytePairs>(std::move(vocabulary), std::move(merges));
  }
  return encoder;
}

std::int64_t TextEncoder::tokens() const {
  return static_cast<std::int64_t>(words_ ? words_->words().size() : pairs_->tokens().size());
}

void TextEncoder::encode(std::string_view text, std::vector<std::int64_t>& out) const {
  words_ ? words_->encode(text, length_, out) : pairs_->encode(text, length_, out);
}

void TextEncoder::encode(std::string_view text, std::span<std::int64_t> out) const {
  std::vector<std::int64_t> numbers;
  encode(text, numbers);
  std::ranges::fill(std::ranges::copy(numbers, out.begin()).out, out.end(), data::Vocabulary::kPadding);
}

}  // namespace ds::infer
