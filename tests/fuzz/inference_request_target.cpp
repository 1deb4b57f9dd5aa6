// Feeds anything to the parser of inference requests. The first byte chooses: all JSON; JSON of so many bytes
// (the next two) and binary tensors behind it; or a raw request for an input of the type that the next byte
// names.
//
// What parses must come back the same when its inputs are encoded as outputs, as binary and, where they have
// such a form, as JSON.
#include <cmath>
#include <string>

#include "actors/serving/byte_elements.hpp"
#include "actors/serving/inference_request.hpp"
#include "actors/serving/inference_response.hpp"
#include "actors/serving/json_text.hpp"
#include "tests/fuzz/expect.hpp"

using namespace ds;
using namespace ds::serving;

namespace {

InferenceRequest parse_back(EncodedResponse encoded) {
  // A response is a request but for this word; inside strings its quotes would be escaped.
  const std::string from = "\"outputs\":[";
  const std::string to = "\"inputs\":[";
  encoded.body.replace(encoded.body.find(from), from.size(), to);
  if (encoded.json_length) *encoded.json_length -= from.size() - to.size();
  auto parsed = parse_inference_request(Buffer::copy_of(encoded.body), encoded.json_length, {}, std::nullopt);
  EXPECT_HOLDS(parsed.has_value());
  return std::move(*parsed);
}

template <class Float>
bool has_nan(const Tensor& tensor) {
  for (std::size_t at = 0; at < tensor.bytes.size(); at += sizeof(Float)) {
    Float value;
    std::memcpy(&value, tensor.bytes.bytes().data() + at, sizeof value);
    if (std::isnan(value)) return true;
  }
  return false;
}

bool all_utf8(const Tensor& tensor) {
  ByteElements elements(tensor.bytes.bytes());
  std::string ignored;
  while (const auto element = elements.next()) {
    if (!append_json_string(ignored, *element)) return false;
  }
  return true;
}

/// Whether JSON carries it whole.
bool survives_json(const Tensor& tensor) {
  if (tensor.datatype == Datatype::fp16 || tensor.datatype == Datatype::bf16) return false;
  if (tensor.datatype == Datatype::fp32) return !has_nan<float>(tensor);
  if (tensor.datatype == Datatype::fp64) return !has_nan<double>(tensor);
  return tensor.datatype != Datatype::bytes || all_utf8(tensor);
}

void check(const Buffer& body, std::optional<std::uint64_t> json_length,
           const std::optional<TensorSpec>& raw) {
  const auto parsed = parse_inference_request(body, json_length, {}, raw);
  if (!parsed) {
    EXPECT_HOLDS(!parsed.error().message.empty());
    return;
  }
  std::size_t bytes = 0;
  bool is_json = true;
  for (const Tensor& input : parsed->inputs) {
    bytes += input.bytes.size();
    is_json = is_json && survives_json(input);
  }
  EXPECT_HOLDS(bytes <= 4 * body.size() + 8);
  InferenceRequest request;
  request.id = parsed->id;
  for (const bool binary : {true, false}) {
    if (!binary && !is_json) continue;
    request.binary_outputs = binary;
    auto encoded = encode_response("m", "1", request, parsed->inputs);
    EXPECT_HOLDS(encoded.has_value());
    const InferenceRequest back = parse_back(std::move(*encoded));
    EXPECT_HOLDS(back.inputs == parsed->inputs);
    EXPECT_HOLDS(back.id == parsed->id);
  }
  // What was asked for need not exist or go; it must not crash.
  (void)encode_response("m", "1", *parsed, parsed->inputs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const auto input = std::as_bytes(std::span(bytes, size));
  const unsigned which = bytes[0] % 3;
  if (which == 0) {
    check(Buffer::copy_of(input.subspan(1)), std::nullopt, std::nullopt);
  } else if (which == 1 && size >= 3) {
    check(Buffer::copy_of(input.subspan(3)), bytes[1] + 256U * bytes[2], std::nullopt);
  } else if (which == 2 && size >= 2) {
    check(Buffer::copy_of(input.subspan(2)), 0,
          TensorSpec{"X", static_cast<Datatype>(bytes[1] % 14), {1, -1}});
  }
  return 0;
}
