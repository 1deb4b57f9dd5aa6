#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/dataset/csv_record.hpp"
#include "storage/dataset/data_file.hpp"
#include "storage/dataset/image_file.hpp"

namespace ds::data {

/// What a field of a sample is while it is made.
enum class Form : std::uint8_t {
  text,     ///< UTF-8
  numbers,  ///< float32
  whole,    ///< int64: tokens, a class, a mask
};

/// What is known of a field before any sample is read.
struct FieldPlan {
  std::string name;
  Form form = Form::numbers;
  std::vector<std::int64_t> shape;  ///< kAnyExtent: differs from sample to sample
  bool operator==(const FieldPlan&) const = default;
};
inline constexpr std::int64_t kAnyExtent = -1;

/// A field of one sample. Reused from sample to sample, so that its memory is.
struct Value {
  Form form = Form::numbers;
  std::vector<std::int64_t> shape;
  std::string_view text;            ///< lives until the next sample is read
  std::vector<float> numbers;       ///< C order
  std::vector<std::int64_t> whole;  ///< C order
  /// An image as it was decoded, instead of `numbers`: rows of pixels whose channels lie side by side, of
  /// which 255 means 1. `shape` is [channels, height, width] all the same.
  std::vector<std::uint8_t> pixels;
  bool has_pixels = false;
  static constexpr float kPixelScale = 1.0F / 255;
  std::vector<float> spare;  ///< for transforms: swapped with `numbers`

  std::size_t count() const;
  /// Turns pixels into numbers, which lie channel by channel.
  void to_numbers();
};

/// The fields of one sample and what reading it takes. One a thread.
struct Sample {
  std::vector<Value> fields;

  storage::FilePin pin, label_pin;
  storage::CsvRow row;
  storage::Pixels decoded;
  std::string file, unpacked;      ///< a whole small file; and as it was packed
  std::vector<std::string> texts;  ///< what fields' `text` may point to
};

}  // namespace ds::data
