#include "actors/serving/inference_request.hpp"
#include "tests/unit/serving/requests.hpp"

namespace ds::serving {
namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string binary_input(const std::string& name, const std::string& type, const std::string& shape,
                         const std::string& size) {
  return R"({"name":")" + name + R"(","datatype":")" + type + R"(","shape":)" + shape +
         R"(,"parameters":{"binary_data_size":)" + size + "}}";
}

std::string inputs(const std::string& list) {
  return R"({"inputs":[)" + list + "]}";
}

/// As the binary extension's document has it: two binary inputs and one that is JSON.
TEST(BinaryRequest, GivesEachInputItsPartWithoutACopy) {
  const std::string json =
      inputs(binary_input("input0", "FP16", "[2,2]", "8") + "," +
             R"({"name":"input1","shape":[2,2],"datatype":"UINT32","data":[[1,2],[3,4]]},)" +
             binary_input("input2", "BOOL", "[3]", "3"));
  const Buffer body = Buffer::copy_of(json + "abcdefgh" + std::string("\1\0\1", 3));
  const auto parsed = parse_inference_request(body, json.size(), {}, std::nullopt);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->inputs.at(0).bytes.text(), "abcdefgh");
  EXPECT_EQ(parsed->inputs.at(0).bytes.bytes().data(), body.bytes().data() + json.size());
  EXPECT_EQ(values_of<std::uint32_t>(parsed->inputs.at(1)), (std::vector<std::uint32_t>{1, 2, 3, 4}));
  EXPECT_EQ(parsed->inputs.at(2).bytes.text(), std::string_view("\1\0\1", 3));
}

TEST(BinaryRequest, RefusesSizesThatLie) {
  EXPECT_EQ(error_of(inputs(binary_input("X", "INT32", "[2]", "8")), "12345678"), "");
  EXPECT_TRUE(contains(error_of(inputs(binary_input("X", "INT32", "[2]", "8")), "1234567"),
                       "input 'X' says that it has 8 bytes of binary data, but 7 are left"));
  EXPECT_TRUE(contains(error_of(inputs(binary_input("X", "INT32", "[2]", "8")), "123456789"),
                       "1 bytes of the body belong to no input"));
  EXPECT_TRUE(
      contains(error_of(inputs(binary_input("X", "INT32", "[2]", "4")), "1234"),
               "input 'X' does not fit its shape: it has 4 bytes, but 2 values of INT32 take 4 each"));
  const std::string second =
      inputs(binary_input("A", "INT8", "[4]", "4") + "," + binary_input("B", "INT8", "[4]", "4"));
  EXPECT_TRUE(
      contains(error_of(second, "123456"), "input 'B' says that it has 4 bytes of binary data, but 2"));
  for (const char* size : {"18446744073709551615", "9223372036854775808", "4294967296"})
    EXPECT_TRUE(
        contains(error_of(inputs(binary_input("X", "INT32", "[2]", size)), "12345678"), "but 8 are left"));
  for (const char* size : {"-1", "1.0", "18446744073709551616", "\"8\"", "null", "[8]"})
    EXPECT_TRUE(
        contains(error_of(inputs(binary_input("X", "INT32", "[2]", size)), "12345678"), "binary_data_size"));
  EXPECT_TRUE(
      contains(error_of(inputs(binary_input("X", "FP64", "[2305843009213693952]", "0")), ""), "take 8 each"));
}

TEST(BinaryRequest, RefusesInputsThatAreBothOrHaveNoBytesBehind) {
  EXPECT_TRUE(contains(error_of(inputs(R"({"name":"X","datatype":"INT8","shape":[1],"data":[1],)"
                                       R"("parameters":{"binary_data_size":1}})"),
                                "1"),
                       "either 'data' or 'binary_data_size'"));
  EXPECT_TRUE(contains(error_of(inputs(binary_input("X", "INT8", "[1]", "1"))), "but 0 are left"));
  EXPECT_TRUE(contains(error_of(inputs("") + "junk"), "after the end"));
}

TEST(BinaryRequest, RefusesElementsOfBytesWhoseLengthsLie) {
  const auto error = [](const std::string& shape, const std::string& bytes) {
    return error_of(inputs(binary_input("X", "BYTES", shape, std::to_string(bytes.size()))), bytes);
  };
  EXPECT_EQ(error("[2]", byte_elements({"", "abc"})), "");
  EXPECT_EQ(error("[0]", ""), "");
  EXPECT_TRUE(contains(error("[1]", byte_elements({"abc"}).substr(0, 6)),
                       "says that it has 3 bytes, but 2 are left"));
  EXPECT_TRUE(contains(error("[2]", byte_elements({"abc"})), "end with element 1 of 2"));
  EXPECT_TRUE(contains(error("[1]", byte_elements({"abc", ""})), "4 bytes are left after its 1 elements"));
  EXPECT_TRUE(contains(error("[1]",
                             "\xff\xff\xff\xff"
                             "abc"),
                       "says that it has 4294967295 bytes"));
  EXPECT_TRUE(contains(error("[1]", "abc"), "before that one's 4-byte length"));
  EXPECT_TRUE(contains(error("[4611686018427387904]", byte_elements({"a"})), "end with element 1"));
}

TEST(BinaryRequest, RefusesBoolsThatAreNeither) {
  EXPECT_TRUE(contains(error_of(inputs(binary_input("X", "BOOL", "[3]", "3")), std::string("\1\0\2", 3)),
                       "its byte 2 is 2, a BOOL is 0 or 1"));
}

TEST(BinaryRequest, RefusesAHeaderBeyondTheBody) {
  const auto parsed = parse_inference_request(Buffer::copy_of(inputs("")), 100, {}, std::nullopt);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message, "Inference-Header-Content-Length is 100, but the body has 13 bytes");
}

Result<InferenceRequest> parse_raw(std::string_view body, const TensorSpec& spec) {
  return parse_inference_request(Buffer::copy_of(body), 0, {}, spec);
}

TEST(RawRequest, IsTheBytesOfTheOnlyInput) {
  const auto parsed = parse_raw("12345678", {"X", Datatype::int16, {1, 4}});
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->inputs,
            (std::vector<Tensor>{{"X", Datatype::int16, {1, 4}, Buffer::copy_of("12345678")}}));
  EXPECT_TRUE(parsed->binary_outputs);
}

TEST(RawRequest, SettlesTheFirstDimensionThatVaries) {
  EXPECT_EQ(parse_raw("123456789012", {"X", Datatype::int16, {-1, 3}})->inputs[0].shape,
            (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(parse_raw("1234", {"X", Datatype::int8, {-1, -1}})->inputs[0].shape,
            (std::vector<std::int64_t>{4, 1}));
  EXPECT_EQ(parse_raw("hello", {"X", Datatype::bytes, {-1}})->inputs[0].bytes.text(),
            byte_elements({"hello"}));
  EXPECT_FALSE(parse_raw("12345", {"X", Datatype::int16, {-1, 3}}));
  EXPECT_FALSE(parse_raw("", {"X", Datatype::int16, {-1, 3}}));
  EXPECT_FALSE(parse_raw("12", {"X", Datatype::int16, {0}}));
  EXPECT_FALSE(parse_raw("12", {"X", Datatype::bytes, {2}}));
  EXPECT_FALSE(parse_inference_request(Buffer::copy_of("12"), 0, {}, std::nullopt));
}

}  // namespace
}  // namespace ds::serving
