// What is encoded parses to the same bits, as JSON and as binary, for random tensors of all datatypes.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "actors/serving/byte_elements.hpp"
#include "actors/serving/json_text.hpp"
#include "tests/unit/serving/requests.hpp"

namespace ds::serving {
namespace {

using Random = std::mt19937_64;

/// Any bits, but for NaN, which has one form in JSON.
template <class Float, class Bits>
std::string random_floats(std::uint64_t count, Random& random) {
  std::string bytes;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto value = std::bit_cast<Float>(static_cast<Bits>(random()));
    if (random() % 4 == 0) value = static_cast<Float>(static_cast<int>(random() % 200) - 100);
    if (random() % 16 == 0) value = Float(-0.0);
    if (std::isnan(value)) value = std::numeric_limits<Float>::quiet_NaN();
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return bytes;
}

std::string random_texts(std::uint64_t count, Random& random) {
  std::string bytes;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string text;
    for (std::uint64_t n = random() % 6; n > 0; --n)
      append_utf8(text, random() % (random() % 2 ? 0x80 : 0xD800));
    append_byte_element(bytes, text);
  }
  return bytes;
}

Tensor random_tensor(std::string name, Datatype type, Random& random) {
  Tensor tensor{std::move(name), type, {}, {}};
  for (std::uint64_t n = random() % 4; n > 0; --n)
    tensor.shape.push_back(static_cast<std::int64_t>(random() % 7));
  const std::uint64_t count = *count_elements(tensor.shape);
  std::string bytes;
  if (type == Datatype::bytes) {
    bytes = random_texts(count, random);
  } else if (type == Datatype::fp32) {
    bytes = random_floats<float, std::uint32_t>(count, random);
  } else if (type == Datatype::fp64) {
    bytes = random_floats<double, std::uint64_t>(count, random);
  } else {
    for (std::uint64_t i = 0; i < count * size_of(type); ++i)
      bytes += static_cast<char>(type == Datatype::boolean ? random() % 2 : random() % 256);
  }
  tensor.bytes = Buffer::copy_of(bytes);
  return tensor;
}

/// A response read as a request: the two differ in the word for the list of tensors.
Result<InferenceRequest> parse_back(EncodedResponse encoded) {
  const std::string from = "\"outputs\":[";
  const std::string to = "\"inputs\":[";
  encoded.body.replace(encoded.body.find(from), from.size(), to);
  if (encoded.json_length) *encoded.json_length -= 1;
  return parse_inference_request(Buffer::copy_of(encoded.body), encoded.json_length, {}, std::nullopt);
}

bool has_json_form(Datatype type) {
  return type != Datatype::fp16 && type != Datatype::bf16;
}

TEST(RoundTrip, KeepsEveryBitOfEveryDatatypeInJsonAndBinary) {
  Random random(2024);
  for (int round = 0; round < 3'000; ++round) {
    InferenceRequest request;
    request.id = "r";
    std::vector<Tensor> tensors;
    for (std::uint64_t n = 1 + random() % 4; n > 0; --n) {
      const auto type = static_cast<Datatype>(random() % 14);
      tensors.push_back(random_tensor("t" + std::to_string(n), type, random));
      request.outputs.push_back({tensors.back().name, !has_json_form(type) || random() % 2 == 0, 0});
    }
    auto encoded = encode_response("m", "1", request, tensors);
    ASSERT_TRUE(encoded) << encoded.error().message;
    const std::string body = encoded->body;
    const auto back = parse_back(std::move(*encoded));
    ASSERT_TRUE(back) << back.error().message << "\n" << body;
    EXPECT_EQ(back->inputs, tensors) << body;
    EXPECT_EQ(back->id, "r");
  }
}

TEST(RoundTrip, KeepsAMillionRandomFloats) {
  Random random(5);
  const Tensor floats{
      "f", Datatype::fp32, {500'000}, Buffer::copy_of(random_floats<float, std::uint32_t>(500'000, random))};
  const Tensor doubles{
      "d", Datatype::fp64, {500'000}, Buffer::copy_of(random_floats<double, std::uint64_t>(500'000, random))};
  auto encoded = encode_response("m", "1", {}, {floats, doubles});
  ASSERT_TRUE(encoded) << encoded.error().message;
  const auto back = parse_back(std::move(*encoded));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(back->inputs.at(0) == floats);
  EXPECT_TRUE(back->inputs.at(1) == doubles);
}

}  // namespace
}  // namespace ds::serving
