#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/serving/tensor.hpp"

namespace ds::serving {

/// An input or output of a model.
struct TensorSpec {
  std::string name;
  Datatype datatype = Datatype::fp32;
  std::vector<std::int64_t> shape;  ///< -1: any size
  bool operator==(const TensorSpec&) const = default;
};

}  // namespace ds::serving
