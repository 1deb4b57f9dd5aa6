#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "actors/train/vocabulary.hpp"
#include "storage/dataset/csv.hpp"

namespace ds::train {

/// The different labels of the training set in lexicographic order; a label's number is its place. Pure.
std::vector<std::string> distinct_labels(std::span<const std::string> labels);

/// A data set as numbers: a row is `length` word numbers and a label's number.
struct EncodedRows {
  static constexpr std::int32_t kUnknownLabel = -1;  ///< the training set has no such label

  std::uint32_t length = 0;
  std::vector<std::int32_t> words;  ///< row by row
  std::vector<std::int32_t> labels;

  std::uint64_t size() const { return labels.size(); }
  std::span<const std::int32_t> words_of(std::uint64_t row) const {
    return std::span(words).subspan(row * length, length);
  }
};

/// Encodes all rows once. Pure.
EncodedRows encode_rows(const storage::LabelledText& text, const Vocabulary& vocabulary,
                        std::span<const std::string> labels, std::uint32_t length);

/// The share of `rows` whose label is the most frequent one of `training`, the first of equals. Pure.
double majority_accuracy(const EncodedRows& training, const EncodedRows& rows);

}  // namespace ds::train
