#pragma once

#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "actors/infer/served_model.hpp"

namespace ds::infer {

/// The archive of a model whose `forward(self, x)` has this body and these tensors.
inline std::string archive_of(const std::string& body,
                              const std::vector<std::pair<std::string, at::Tensor>>& tensors = {}) {
  torch::jit::Module module("Made");
  module.register_attribute("training", c10::BoolType::get(), false);
  for (const auto& [name, tensor] : tensors) module.register_parameter(name, tensor, false);
  module.define("def forward(self, x):\n    " + body + "\n");
  std::ostringstream archive;
  module.save(archive);
  return archive.str();
}

/// Always the same numbers for the same seed.
inline at::Tensor random_tensor(std::vector<std::int64_t> shape, std::uint64_t seed, double deviation = 1) {
  at::manual_seed(seed);
  return at::randn(shape) * deviation;
}

/// x -> 64 -> relu -> 10.
inline std::string layers_archive() {
  return archive_of("return torch.linear(torch.relu(torch.linear(x, self.a, self.b)), self.c)",
                    {{"a", random_tensor({64, 32}, 1, 0.2)},
                     {"b", random_tensor({64}, 2, 0.2)},
                     {"c", random_tensor({20, 64}, 3, 0.2)}});
}

/// Of a layer of torch's fast path for encoders: 32 wide, 64 in between.
inline std::vector<std::pair<std::string, at::Tensor>> encoder_tensors() {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  const std::vector<std::pair<const char*, std::vector<std::int64_t>>> shapes{
      {"qkv", {96, 32}}, {"qkv_bias", {96}}, {"out", {32, 32}}, {"out_bias", {32}},
      {"n1", {32}},      {"n1_bias", {32}},  {"n2", {32}},      {"n2_bias", {32}},
      {"f1", {64, 32}},  {"f1_bias", {64}},  {"f2", {32, 64}},  {"f2_bias", {32}}};
  for (const auto& [name, shape] : shapes)
    tensors.emplace_back(name, random_tensor(shape, 30 + tensors.size(), 0.2));
  return tensors;
}

inline serving::Tensor floats(const std::string& name, const at::Tensor& given) {
  const at::Tensor tensor = given.contiguous();
  std::string bytes(static_cast<std::size_t>(tensor.nbytes()), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), tensor.data_ptr(), bytes.size());
  return {name, serving::Datatype::fp32, tensor.sizes().vec(), Buffer::copy_of(std::string_view(bytes))};
}

inline std::vector<float> numbers(const serving::Tensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.bytes().data(), values.size() * sizeof(float));
  return values;
}

}  // namespace ds::infer
