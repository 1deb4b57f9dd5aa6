#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/fabric/buffer.hpp"

namespace ds::serving {

/// Of the Open Inference Protocol, version 2.
enum class Datatype : std::uint8_t {
  boolean,  ///< one byte, 0 or 1
  uint8,
  uint16,
  uint32,
  uint64,
  int8,
  int16,
  int32,
  int64,
  fp16,
  fp32,
  fp64,
  bf16,
  bytes,  ///< each element a 4-byte length and so many bytes
};

/// As on the wire: `FP32`.
std::string_view to_string(Datatype type);
std::optional<Datatype> datatype_from(std::string_view name);
/// Bytes an element; 0 where that varies (`bytes`).
std::size_t size_of(Datatype type);

/// Row-major, little-endian; the shape covers the whole batch.
struct Tensor {
  std::string name;
  Datatype datatype = Datatype::fp32;
  std::vector<std::int64_t> shape;
  Buffer bytes;
  bool operator==(const Tensor&) const = default;
};

/// Elements of a tensor of this shape; none: a dimension is negative, or they are more than 2^63 - 1.
std::optional<std::uint64_t> count_elements(std::span<const std::int64_t> shape);

}  // namespace ds::serving
