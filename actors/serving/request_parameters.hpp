#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "actors/serving/json_reader.hpp"

namespace ds::serving {

/// What the `parameters` of a request, of an input or of an output say, those that mean something to us.
struct Parameters {
  std::optional<std::uint64_t> binary_data_size;  ///< input
  std::optional<bool> binary_data;                ///< output
  std::optional<std::uint64_t> classification;    ///< output
  std::optional<bool> binary_data_output;         ///< request
  std::optional<std::uint64_t> priority;          ///< request
  std::optional<std::uint64_t> timeout;           ///< request, µs
};

enum class ParameterPlace : std::uint8_t { request, input, output };

/// Reads the object `parameters` of `place`. Others than those above are allowed there and ignored, if they
/// are strings, numbers or booleans. Refused: keys that begin with `triton_`; as `unsupported`: shared memory
/// and sequences (a sequence number 0 means none and is allowed). False: `reader.error()` says why.
bool read_parameters(JsonReader& reader, ParameterPlace place, Parameters& out);

/// A whole number from 0 to 2^64 - 1.
bool read_unsigned(JsonReader& reader, std::string_view what, std::uint64_t& out);

}  // namespace ds::serving
