#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "actors/fabric/buffer.hpp"

namespace ds::data {

/// What a tensor of a batch holds. Sources turn every other type into one of these.
enum class Element : std::uint8_t { float32, int64, uint8 };

std::size_t bytes_of(Element element);

/// The shape of one sample's field.
struct FieldShape {
  std::string name;  ///< `text`, `features`, `image`, `label`, …
  Element element = Element::float32;
  std::vector<std::int64_t> shape;  ///< without the batch; empty: a number
  bool operator==(const FieldShape&) const = default;
};

/// A tensor in C order whose first dimension is the batch.
struct HostTensor {
  Element element = Element::float32;
  std::vector<std::int64_t> shape;
  Buffer bytes;  ///< aligned to 64 bytes, so that it can become a tensor without a copy
};

/// Samples, field by field, in the order of the source's fields.
struct Batch {
  std::uint64_t rows = 0;
  std::vector<std::pair<std::string, HostTensor>> fields;
  std::vector<std::uint64_t> samples;  ///< the numbers of those it was made of, the bad ones too
  /// Bad records left out (`on_bad_record: skip`); with them the batch was larger.
  std::uint64_t skipped = 0;
  std::string first_skipped;  ///< where the first of them stands and what is wrong with it

  const HostTensor* find(const std::string& name) const;
};

}  // namespace ds::data
