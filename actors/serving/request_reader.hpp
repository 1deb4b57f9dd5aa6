#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "actors/serving/inference_request.hpp"
#include "actors/serving/json_reader.hpp"
#include "actors/serving/request_parameters.hpp"

namespace ds::serving {

/// Reads the JSON part of a request; binary tensors are left without bytes.
class RequestReader {
 public:
  RequestReader(std::string_view json, const RequestLimits& limits) : reader_(json), limits_(limits) {}

  /// False: `error()` says why.
  bool read();
  const Error& error() const { return reader_.error(); }
  InferenceRequest& request() { return request_; }
  /// For each input what `binary_data_size` says; none: it came as JSON.
  const std::vector<std::optional<std::uint64_t>>& binary_sizes() const { return binary_sizes_; }

 private:
  struct Input;

  bool read_root_member(std::string_view key);
  bool read_request_parameters();
  bool read_inputs();
  bool read_input();
  bool read_input_member(std::string_view key, Input& input);
  bool read_data(Input& input);
  bool finish_input(Input& input);
  bool read_shape(std::vector<std::int64_t>& shape);
  bool read_outputs();
  bool read_output();
  bool read_text(std::string_view what, std::string& out);

  JsonReader reader_;
  const RequestLimits& limits_;
  InferenceRequest request_;
  std::vector<std::optional<std::uint64_t>> binary_sizes_;
  std::vector<std::optional<bool>> output_is_binary_;
  bool has_inputs_ = false;
};

}  // namespace ds::serving
