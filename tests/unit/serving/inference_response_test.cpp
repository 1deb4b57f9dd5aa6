#include "actors/serving/inference_response.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "actors/serving/byte_elements.hpp"
#include "actors/serving/classification.hpp"
#include "tests/unit/serving/requests.hpp"

namespace ds::serving {
namespace {

std::string encode(const InferenceRequest& request, const std::vector<Tensor>& outputs) {
  const auto encoded = encode_response("m", "1", request, outputs);
  return encoded ? encoded->body : "error: " + encoded.error().message;
}

/// The example of the protocol's specification.
TEST(InferenceResponse, IsThatOfTheProtocolsExample) {
  InferenceRequest request;
  request.id = "42";
  request.outputs = {{"output0", false, 0}};
  const auto encoded =
      encode_response("mymodel", "1", request,
                      {{"output0", Datatype::fp32, {3, 2}, buffer_of<float>({1, 1.1F, 2, 2.1F, 3, 3.1F})}});
  ASSERT_TRUE(encoded) << encoded.error().message;
  EXPECT_EQ(encoded->body,
            R"({"model_name":"mymodel","model_version":"1","id":"42","outputs":[)"
            R"({"name":"output0","datatype":"FP32","shape":[3,2],"data":[1,1.1,2,2.1,3,3.1]}]})");
  EXPECT_EQ(encoded->json_length, std::nullopt);
}

TEST(InferenceResponse, PutsBinaryOutputsBehindTheJsonInTheirOrder) {
  InferenceRequest request;
  request.outputs = {{"B", true, 0}, {"J", false, 0}, {"A", true, 0}};
  const auto encoded =
      encode_response("m", "", request,
                      {{"A", Datatype::fp16, {2}, Buffer::copy_of("aaaa")},
                       {"B", Datatype::bytes, {1}, Buffer::copy_of(byte_elements({"\xff"}))},
                       {"J", Datatype::boolean, {2}, Buffer::copy_of(std::string_view("\1\0", 2))},
                       {"unasked", Datatype::int8, {1}, Buffer::copy_of("x")}});
  ASSERT_TRUE(encoded) << encoded.error().message;
  const std::string json =
      R"({"model_name":"m","outputs":[{"name":"B","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}},)"
      R"({"name":"J","datatype":"BOOL","shape":[2],"data":[true,false]},)"
      R"({"name":"A","datatype":"FP16","shape":[2],"parameters":{"binary_data_size":4}}]})";
  EXPECT_EQ(encoded->json_length, json.size());
  EXPECT_EQ(encoded->body, json + byte_elements({"\xff"}) + "aaaa");
}

TEST(InferenceResponse, WritesNumbersThatReadBackTheSame) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(encode({}, {{"Y",
                         Datatype::fp64,
                         {8},
                         buffer_of<double>({-0.0, 0.1, 1e300, 5e-324, kInfinity, -kInfinity,
                                            std::numeric_limits<double>::quiet_NaN(), 123456789})}}),
            R"({"model_name":"m","model_version":"1","outputs":[{"name":"Y","datatype":"FP64","shape":[8],)"
            R"("data":[-0.0,0.1,1e+300,5e-324,Infinity,-Infinity,NaN,123456789]}]})");
  EXPECT_NE(encode({}, {{"Y", Datatype::uint64, {2}, buffer_of<std::uint64_t>({0, ~std::uint64_t{0}})}})
                .find("[0,18446744073709551615]"),
            std::string::npos);
  EXPECT_NE(
      encode(
          {},
          {{"Y", Datatype::int64, {}, buffer_of<std::int64_t>({std::numeric_limits<std::int64_t>::min()})}})
          .find(R"("shape":[],"data":[-9223372036854775808])"),
      std::string::npos);
  EXPECT_NE(encode({}, {{"Y", Datatype::int8, {0}, {}}}).find(R"("shape":[0],"data":[])"), std::string::npos);
}

TEST(InferenceResponse, WritesStringsAndNamesEscaped) {
  InferenceRequest request;
  request.id = "a\"b\\";
  EXPECT_EQ(
      encode(request,
             {{"Y\n", Datatype::bytes, {2}, Buffer::copy_of(byte_elements({std::string("\0é", 3), ""}))}}),
      R"({"model_name":"m","model_version":"1","id":"a\"b\\","outputs":[)"
      R"({"name":"Y\n","datatype":"BYTES","shape":[2],"data":["\u0000é",""]}]})");
}

TEST(InferenceResponse, SaysWhatMustBeAskedForAsBinary) {
  for (const Tensor& tensor :
       {Tensor{"Y", Datatype::fp16, {1}, Buffer::copy_of("ab")},
        Tensor{"Y", Datatype::bf16, {1}, Buffer::copy_of("ab")},
        Tensor{"Y", Datatype::bytes, {1}, Buffer::copy_of(byte_elements({"a\xff"}))}}) {
    const auto encoded = encode_response("m", "1", {}, {tensor});
    ASSERT_FALSE(encoded);
    EXPECT_EQ(encoded.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(encoded.error().hint.find("binary_data"), std::string::npos);
    InferenceRequest binary;
    binary.binary_outputs = true;
    EXPECT_TRUE(encode_response("m", "1", binary, {tensor}));
  }
}

TEST(InferenceResponse, RefusesOutputsThatAreNotThereOrBroken) {
  InferenceRequest request;
  request.outputs = {{"Z", false, 0}};
  EXPECT_EQ(encode(request, {{"Y", Datatype::int8, {1}, Buffer::copy_of("a")}}),
            "error: unexpected inference output 'Z' for model 'm'");
  for (const bool binary : {false, true}) {
    InferenceRequest all;
    all.binary_outputs = binary;
    const auto encoded =
        encode_response("m", "1", all, {{"Y", Datatype::int32, {2}, Buffer::copy_of("abc")}});
    ASSERT_FALSE(encoded);
    EXPECT_EQ(encoded.error().code, ErrorCode::internal);
  }
}

std::vector<std::string> elements_of(const Tensor& tensor) {
  std::vector<std::string> texts;
  ByteElements elements(tensor.bytes.bytes());
  while (const auto element = elements.next()) texts.emplace_back(*element);
  EXPECT_TRUE(elements.rest().empty());
  return texts;
}

TEST(Classification, GivesTheBestOfEachRowWithTheirLabels) {
  const Tensor scores{"Y", Datatype::fp32, {2, 3}, buffer_of<float>({0.1F, 0.7F, 0.2F, 3, 1, 2})};
  const std::vector<std::string> labels{"cat", "dog"};
  const auto best = classify(scores, 2, labels);
  ASSERT_TRUE(best) << best.error().message;
  EXPECT_EQ(best->datatype, Datatype::bytes);
  EXPECT_EQ(best->shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(elements_of(*best), (std::vector<std::string>{"0.7:1:dog", "0.2:2", "3:0:cat", "2:2"}));
}

TEST(Classification, OrdersEqualValuesByIndexAndNanLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor scores{"Y", Datatype::fp32, {5}, buffer_of<float>({nan, 1, 2, nan, 2})};
  EXPECT_EQ(elements_of(*classify(scores, 99, {})),
            (std::vector<std::string>{"2:2", "2:4", "1:1", "nan:0", "nan:3"}));
}

TEST(Classification, TakesEveryTypeButBytes) {
  EXPECT_EQ(
      elements_of(*classify({"Y", Datatype::fp16, {2}, buffer_of<std::uint16_t>({0x3C00, 0x4000})}, 1, {})),
      std::vector<std::string>{"2:1"});
  EXPECT_EQ(
      elements_of(*classify({"Y", Datatype::bf16, {2}, buffer_of<std::uint16_t>({0x3F80, 0xC000})}, 1, {})),
      std::vector<std::string>{"1:0"});
  EXPECT_EQ(elements_of(*classify({"Y", Datatype::int8, {2}, buffer_of<std::int8_t>({-3, -2})}, 1, {})),
            std::vector<std::string>{"-2:1"});
  EXPECT_EQ(elements_of(*classify({"Y", Datatype::boolean, {2}, buffer_of<std::uint8_t>({0, 1})}, 1, {})),
            std::vector<std::string>{"1:1"});
  EXPECT_EQ(classify({"Y", Datatype::fp32, {4, 0}, {}}, 3, {})->shape, (std::vector<std::int64_t>{4, 0}));
  EXPECT_FALSE(classify({"Y", Datatype::bytes, {0}, {}}, 1, {}));
}

TEST(Classification, IsAskedForInARequest) {
  InferenceRequest request;
  request.outputs = {{"Y", false, 1}};
  const auto encoded =
      encode_response("m", "1", request, {{"Y", Datatype::fp32, {1, 2}, buffer_of<float>({0.25F, 0.75F})}},
                      {{"Y", {"no", "yes"}}});
  ASSERT_TRUE(encoded) << encoded.error().message;
  EXPECT_NE(encoded->body.find(R"("datatype":"BYTES","shape":[1,1],"data":["0.75:1:yes"])"),
            std::string::npos);
}

}  // namespace
}  // namespace ds::serving
