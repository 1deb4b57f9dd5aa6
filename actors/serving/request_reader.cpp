#include "actors/serving/request_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "actors/serving/json_text.hpp"
#include "actors/serving/tensor_json.hpp"

namespace ds::serving {

using Kind = JsonReader::Kind;

constexpr std::size_t kUsualDimensions = 4;

/// An input while its members come, in any order.
struct RequestReader::Input {
  Tensor tensor;
  bool has_name = false;
  bool has_datatype = false;
  bool has_shape = false;
  bool has_data = false;
  bool is_read = false;   ///< `data` has become the tensor's bytes
  std::string_view data;  ///< else its text, once it stands
  std::size_t data_offset = 0;
  Parameters parameters;
};

bool RequestReader::read() {
  if (reader_.peek() != Kind::object) return reader_.fail_here("a request must be a JSON object");
  if (!reader_.begin_object()) return false;
  std::string_view key;
  while (reader_.next_member(key)) {
    if (!read_root_member(key)) return false;
  }
  if (!reader_.expect_end()) return false;
  if (!has_inputs_) return reader_.fail_here("the request has no 'inputs'");
  for (std::size_t i = 0; i < request_.outputs.size(); ++i)
    request_.outputs[i].binary = output_is_binary_[i].value_or(request_.binary_outputs);
  return true;
}

bool RequestReader::read_root_member(std::string_view key) {
  if (key == "id") return read_text("id", request_.id);
  if (key == "parameters") return read_request_parameters();
  if (key == "inputs") return read_inputs();
  if (key == "outputs") return read_outputs();
  return reader_.skip_value();
}

bool RequestReader::read_request_parameters() {
  Parameters parameters;
  if (!read_parameters(reader_, ParameterPlace::request, parameters)) return false;
  const std::uint64_t priority = parameters.priority.value_or(0);
  if (priority > std::numeric_limits<std::uint32_t>::max())
    return reader_.fail_here(fmt::format("'priority' is {}, it must be below 2^32", priority));
  request_.priority = static_cast<std::uint32_t>(priority);
  request_.timeout_us = parameters.timeout.value_or(0);
  request_.binary_outputs = parameters.binary_data_output.value_or(false);
  return true;
}

bool RequestReader::read_text(std::string_view what, std::string& out) {
  std::string_view text;
  if (reader_.peek() != Kind::string) return reader_.fail_here(fmt::format("'{}' must be a string", what));
  if (!reader_.read_string(text)) return false;
  if (text.size() > limits_.max_name_bytes)
    return reader_.fail_here(fmt::format("'{}' has more than {} bytes", what, limits_.max_name_bytes));
  out = text;
  return true;
}

bool RequestReader::read_inputs() {
  has_inputs_ = true;
  if (reader_.peek() != Kind::array) return reader_.fail_here("'inputs' must be an array");
  if (!reader_.begin_array()) return false;
  while (reader_.next_element()) {
    if (request_.inputs.size() == limits_.max_inputs)
      return reader_.fail_here(fmt::format("a request may have {} inputs", limits_.max_inputs));
    if (!read_input()) return false;
  }
  return !reader_.failed();
}

bool RequestReader::read_input() {
  if (reader_.peek() != Kind::object) return reader_.fail_here("an input must be an object");
  if (!reader_.begin_object()) return false;
  Input input;
  std::string_view key;
  while (reader_.next_member(key)) {
    if (!read_input_member(key, input)) return false;
  }
  return !reader_.failed() && finish_input(input);
}

bool RequestReader::read_input_member(std::string_view key, Input& input) {
  if (key == "name") {
    input.has_name = true;
    return read_text("name", input.tensor.name);
  }
  if (key == "datatype") {
    std::string_view text;
    if (reader_.peek() != Kind::string) return reader_.fail_here("'datatype' must be a string");
    if (!reader_.read_string(text)) return false;
    const auto type = datatype_from(text);
    if (!type) return reader_.fail_here(fmt::format("'{}' is no datatype; FP32 is one", excerpt(text)));
    input.tensor.datatype = *type;
    input.has_datatype = true;
    return true;
  }
  if (key == "shape") {
    input.has_shape = true;
    return read_shape(input.tensor.shape);
  }
  if (key == "parameters") return read_parameters(reader_, ParameterPlace::input, input.parameters);
  if (key == "data") return read_data(input);
  return reader_.skip_value();
}

/// At once if it is known how, else what stands there is kept for later.
bool RequestReader::read_data(Input& input) {
  input.has_data = true;
  reader_.peek();
  input.data_offset = reader_.offset();
  if (!input.has_datatype || !input.has_shape) return reader_.skip_value(&input.data);
  input.is_read = true;
  return read_tensor_data(reader_, input.tensor);
}

bool RequestReader::finish_input(Input& input) {
  const Tensor& tensor = input.tensor;
  if (!input.has_name) return reader_.fail_here("an input has no 'name'");
  if (!input.has_datatype) return reader_.fail_here(fmt::format("input '{}' has no 'datatype'", tensor.name));
  if (!input.has_shape) return reader_.fail_here(fmt::format("input '{}' has no 'shape'", tensor.name));
  const auto& inputs = request_.inputs;
  if (std::any_of(inputs.begin(), inputs.end(),
                  [&](const Tensor& other) { return other.name == tensor.name; }))
    return reader_.fail_here(fmt::format("input '{}' already exists in request", tensor.name));
  const bool is_binary = input.parameters.binary_data_size.has_value();
  if (is_binary == input.has_data)
    return reader_.fail_here(
        fmt::format("input '{}' must have either 'data' or 'binary_data_size'", tensor.name));
  if (input.has_data && !input.is_read) {
    JsonReader again(input.data, reader_.depth(), input.data_offset);
    if (!read_tensor_data(again, input.tensor)) return reader_.fail_with(again.error());
  }
  binary_sizes_.push_back(input.parameters.binary_data_size);
  request_.inputs.push_back(std::move(input.tensor));
  return true;
}

bool RequestReader::read_shape(std::vector<std::int64_t>& shape) {
  if (reader_.peek() != Kind::array) return reader_.fail_here("'shape' must be an array of whole numbers");
  shape.reserve(kUsualDimensions);
  if (!reader_.begin_array()) return false;
  while (reader_.next_element()) {
    std::uint64_t size = 0;
    if (shape.size() == limits_.max_dimensions)
      return reader_.fail_here(fmt::format("'shape' has more than {} dimensions", limits_.max_dimensions));
    if (!read_unsigned(reader_, "shape", size)) return false;
    if (size > std::numeric_limits<std::int64_t>::max())
      return reader_.fail_here(fmt::format("'shape' holds {}, sizes are below 2^63", size));
    shape.push_back(static_cast<std::int64_t>(size));
  }
  if (reader_.failed()) return false;
  return count_elements(shape) || reader_.fail_here("'shape' has more than 2^63 - 1 elements");
}

bool RequestReader::read_outputs() {
  if (reader_.peek() != Kind::array) return reader_.fail_here("'outputs' must be an array");
  if (!reader_.begin_array()) return false;
  while (reader_.next_element()) {
    if (request_.outputs.size() == limits_.max_outputs)
      return reader_.fail_here(fmt::format("a request may ask for {} outputs", limits_.max_outputs));
    if (!read_output()) return false;
  }
  return !reader_.failed();
}

bool RequestReader::read_output() {
  if (reader_.peek() != Kind::object) return reader_.fail_here("an output must be an object");
  if (!reader_.begin_object()) return false;
  RequestedOutput output;
  Parameters parameters;
  bool has_name = false;
  std::string_view key;
  while (reader_.next_member(key)) {
    const bool is_name = key == "name";
    has_name = has_name || is_name;
    const bool ok = is_name               ? read_text("name", output.name)
                    : key == "parameters" ? read_parameters(reader_, ParameterPlace::output, parameters)
                                          : reader_.skip_value();
    if (!ok) return false;
  }
  if (reader_.failed()) return false;
  if (!has_name) return reader_.fail_here("an output has no 'name'");
  const auto& outputs = request_.outputs;
  if (std::any_of(outputs.begin(), outputs.end(),
                  [&](const auto& other) { return other.name == output.name; }))
    return reader_.fail_here(fmt::format("output '{}' already exists in request", output.name));
  const std::uint64_t classes = parameters.classification.value_or(0);
  if (classes > limits_.max_classes)
    return reader_.fail_here(
        fmt::format("'classification' is {}, it may be {}", classes, limits_.max_classes));
  output.classes = static_cast<std::uint32_t>(classes);
  output_is_binary_.push_back(parameters.binary_data);
  request_.outputs.push_back(std::move(output));
  return true;
}

}  // namespace ds::serving
