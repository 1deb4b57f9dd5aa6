#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "actors/fabric/buffer.hpp"

namespace ds::train {

/// A float32 tensor in memory of the caller.
struct NamedFloats {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<const float> values;
};

/// The bytes of a safetensors file: the length of a JSON header (8 bytes, little endian), the header, the
/// values without gaps (https://github.com/huggingface/safetensors, "Format"). Tensors are sorted by name, so
/// equal content gives equal bytes. Pure.
Buffer to_safetensors(std::vector<NamedFloats> tensors, const std::map<std::string, std::string>& metadata);

}  // namespace ds::train
