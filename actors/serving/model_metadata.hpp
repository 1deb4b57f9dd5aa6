#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/serving/tensor.hpp"

namespace ds::serving {

/// A tensor as a model takes or gives it.
struct TensorSpec {
  std::string name;
  Datatype datatype = Datatype::fp32;
  std::vector<std::int64_t> shape;  ///< the first is the batch; -1: any
  bool operator==(const TensorSpec&) const = default;
};

struct ModelMetadata {
  std::string name, platform;
  std::vector<std::string> versions;
  std::vector<TensorSpec> inputs, outputs;
  std::uint32_t max_batch_size = 0;
  bool operator==(const ModelMetadata&) const = default;
};

}  // namespace ds::serving
