#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "actors/serving/inference_request.hpp"
#include "actors/serving/inference_response.hpp"

namespace ds::serving {

/// A request that is all JSON.
inline Result<InferenceRequest> parse(std::string_view json) {
  return parse_inference_request(Buffer::copy_of(json), std::nullopt, {}, std::nullopt);
}

/// A request with binary tensors behind its JSON.
inline Result<InferenceRequest> parse(std::string_view json, std::string_view binary) {
  return parse_inference_request(Buffer::copy_of(std::string(json) + std::string(binary)), json.size(), {},
                                 std::nullopt);
}

/// What parsing says; empty: it succeeds.
template <class... Parts>
std::string error_of(const Parts&... parts) {
  const auto parsed = parse(parts...);
  return parsed ? std::string() : parsed.error().message;
}

/// A request with one input X.
inline std::string one_input(std::string_view datatype, std::string_view shape, std::string_view data) {
  return R"({"inputs":[{"name":"X","datatype":")" + std::string(datatype) + R"(","shape":)" +
         std::string(shape) + R"(,"data":)" + std::string(data) + "}]}";
}

template <class T>
Buffer buffer_of(const std::vector<T>& values) {
  return Buffer::copy_of(std::as_bytes(std::span(values)));
}

template <class T>
std::vector<T> values_of(const Tensor& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.bytes().data(), tensor.bytes.size());
  return values;
}

/// The values of the only input of a request with this data; the test fails if there is none.
template <class T>
std::vector<T> read(std::string_view datatype, std::string_view shape, std::string_view data) {
  const auto parsed = parse(one_input(datatype, shape, data));
  if (!parsed) ADD_FAILURE() << parsed.error().message;
  return parsed ? values_of<T>(parsed->inputs.at(0)) : std::vector<T>();
}

inline std::string byte_elements(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    const auto size = static_cast<std::uint32_t>(text.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out += text;
  }
  return out;
}

}  // namespace ds::serving
