#include "actors/serving/inference_request.hpp"

#include "tests/unit/serving/requests.hpp"

namespace ds::serving {
namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// The example of the protocol's specification.
TEST(InferenceRequest, OfTheProtocolsExampleIsRead) {
  const auto parsed = parse(R"({
    "id" : "42",
    "inputs" : [
      { "name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "data" : [ 1, 2, 3, 4 ] },
      { "name" : "input1", "shape" : [ 3 ], "datatype" : "BOOL", "data" : [ true, false, true ] }
    ],
    "outputs" : [ { "name" : "output0" } ]
  })");
  ASSERT_TRUE(parsed) << parsed.error().message;
  InferenceRequest wanted;
  wanted.id = "42";
  wanted.inputs = {{"input0", Datatype::uint32, {2, 2}, buffer_of<std::uint32_t>({1, 2, 3, 4})},
                   {"input1", Datatype::boolean, {3}, buffer_of<std::uint8_t>({1, 0, 1})}};
  wanted.outputs = {{"output0", false, 0}};
  EXPECT_EQ(*parsed, wanted);
}

TEST(InferenceRequest, TakesMembersInAnyOrder) {
  const auto parsed = parse(
      R"({"outputs":[{"parameters":{"classification":3},"name":"Y"}],
          "inputs":[{"data":[[1,2],[3,-0]],"datatype":"FP32","name":"X","shape":[2,2],"more":{"of":[null]}}],
          "id":"","extra":[1,{"a":2}]})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(values_of<float>(parsed->inputs.at(0)), (std::vector<float>{1, 2, 3, 0}));
  EXPECT_EQ(parsed->outputs.at(0), (RequestedOutput{"Y", false, 3}));
}

TEST(InferenceRequest, SaysWhereDataThatCameFirstIsWrong) {
  const std::string json = R"({"inputs":[{"data":[1,2.5],"datatype":"INT8","name":"X","shape":[2]}]})";
  EXPECT_EQ(error_of(json), "JSON, byte 25: value 2.5 of 'X' is no whole number for INT8");
}

TEST(InferenceRequest, TakesItsParameters) {
  const auto parsed = parse(
      R"({"parameters":{"priority":2,"timeout":5000,"binary_data_output":true,"mine":"x","also":1.5,"sequence_id":0,
          "sequence_start":false},
          "inputs":[],"outputs":[{"name":"A"},{"name":"B","parameters":{"binary_data":false}}]})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->priority, 2U);
  EXPECT_EQ(parsed->timeout_us, 5000U);
  EXPECT_TRUE(parsed->binary_outputs);
  EXPECT_TRUE(parsed->outputs.at(0).binary);
  EXPECT_FALSE(parsed->outputs.at(1).binary);
}

std::string with_parameters(std::string_view parameters) {
  return R"({"inputs":[],"parameters":)" + std::string(parameters) + "}";
}

TEST(InferenceRequest, RefusesParametersOfTheWrongKind) {
  EXPECT_TRUE(contains(error_of(with_parameters("[]")), "'parameters' must be an object"));
  EXPECT_TRUE(
      contains(error_of(with_parameters(R"({"priority":"1"})")), "'priority' must be a whole number"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"priority":4294967296})")), "must be below 2^32"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"timeout":-1})")), "'timeout' is -1"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"timeout":1.5})")), "'timeout' is 1.5"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"timeout":18446744073709551616})")), "2^64 - 1"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"binary_data_output":1})")), "must be true or false"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"a":null})")),
                       "'a' must be a string, a number or true or false"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"a":{}})")), "'a' must be a string"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"triton_x":1})")), "is reserved"));
  EXPECT_TRUE(contains(error_of(with_parameters(R"({"a":1,"a":2})")), "stands twice"));
}

TEST(InferenceRequest, SaysThatSequencesAndSharedMemoryAreNotSupported) {
  for (const std::string& json :
       {with_parameters(R"({"sequence_id":7})"), with_parameters(R"({"sequence_id":"a"})"),
        with_parameters(R"({"sequence_end":true})"),
        std::string(R"({"inputs":[{"name":"X","parameters":{"shared_memory_region":"r"}}]})"),
        std::string(
            R"({"inputs":[],"outputs":[{"name":"Y","parameters":{"shared_memory_byte_size":4}}]})")}) {
    const auto parsed = parse(json);
    ASSERT_FALSE(parsed) << json;
    EXPECT_EQ(parsed.error().code, ErrorCode::unsupported) << json;
    EXPECT_FALSE(parsed.error().hint.empty());
  }
}

TEST(InferenceRequest, NamesWhatIsMissingOrThereTwice) {
  EXPECT_TRUE(contains(error_of(""), "a request must be a JSON object"));
  EXPECT_TRUE(contains(error_of("[]"), "a request must be a JSON object"));
  EXPECT_TRUE(contains(error_of("{}"), "the request has no 'inputs'"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":[]} x)"), "after the end"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":[],"inputs":[]})"), "the key 'inputs' stands twice"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":{}})"), "'inputs' must be an array"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":[1]})"), "an input must be an object"));
  EXPECT_TRUE(
      contains(error_of(R"({"inputs":[{"datatype":"INT8","shape":[1],"data":[1]}]})"), "has no 'name'"));
  EXPECT_TRUE(
      contains(error_of(R"({"inputs":[{"name":"X","shape":[1],"data":[1]}]})"), "'X' has no 'datatype'"));
  EXPECT_TRUE(
      contains(error_of(R"({"inputs":[{"name":"X","datatype":"INT8","data":[1]}]})"), "'X' has no 'shape'"));
  EXPECT_TRUE(
      contains(error_of(R"({"inputs":[{"name":"X","datatype":"INT8","shape":[1]}]})"), "either 'data' or"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":[{"name":"X","datatype":"int8","shape":[1],"data":[1]}]})"),
                       "'int8' is no datatype"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":[],"outputs":[{}]})"), "an output has no 'name'"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":[],"outputs":[{"name":"Y"},{"name":"Y"}]})"),
                       "output 'Y' already exists in request"));
  const std::string input = R"({"name":"X","datatype":"INT8","shape":[1],"data":[1]})";
  EXPECT_EQ(error_of(R"({"inputs":[)" + input + "]}"), "");
  EXPECT_TRUE(contains(error_of(R"({"inputs":[)" + input + "," + input + "]}"),
                       "input 'X' already exists in request"));
}

TEST(InferenceRequest, RefusesShapesThatAreNone) {
  for (const char* shape :
       {"[-1]", "[1.0]", "[1e2]", "[\"1\"]", "[null]", "7", "[[1]]", "[9223372036854775808]",
        "[18446744073709551616]", "[4294967296,4294967296]", "{}"})
    EXPECT_NE(error_of(one_input("INT8", shape, "[1]")), "") << shape;
}

TEST(InferenceRequest, BoundsWhatItHolds) {
  const auto many = [](std::size_t count, const std::string& before, const std::string& after) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? "," : "") + before + std::to_string(i) + after;
    return list;
  };
  const std::string input_end = R"(","datatype":"INT8","shape":[0],"data":[]})";
  EXPECT_EQ(error_of(R"({"inputs":[)" + many(64, R"({"name":")", input_end) + "]}"), "");
  EXPECT_TRUE(contains(error_of(R"({"inputs":[)" + many(65, R"({"name":")", input_end) + "]}"), "64 inputs"));
  EXPECT_TRUE(contains(error_of(R"({"inputs":[],"outputs":[)" + many(65, R"({"name":")", "\"}") + "]}"),
                       "64 outputs"));
  EXPECT_TRUE(
      contains(error_of(with_parameters("{" + many(65, "\"p", "\":1") + "}")), "more than 64 members"));
  EXPECT_TRUE(
      contains(error_of(one_input("INT8", "[" + many(17, "", "") + "]", "[]")), "more than 16 dimensions"));
  EXPECT_TRUE(
      contains(error_of(R"({"id":")" + std::string(257, 'i') + R"(","inputs":[]})"), "more than 256 bytes"));
  EXPECT_TRUE(contains(error_of(one_input("INT8", "[1]", std::string(40, '[') + "1" + std::string(40, ']'))),
                       "more than 32 levels"));
  EXPECT_TRUE(
      contains(error_of(R"({"inputs":[],"outputs":[{"name":"Y","parameters":{"classification":10001}}]})"),
               "'classification' is 10001"));
}

TEST(InferenceRequest, CutAnywhereIsRefused) {
  const std::string json =
      R"({"id":"a\n","inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1.5,-2e1]}],"outputs":[{"name":"Y"}]})";
  ASSERT_EQ(error_of(json), "");
  for (std::size_t length = 0; length < json.size(); ++length)
    EXPECT_NE(error_of(json.substr(0, length)), "") << length;
}

}  // namespace
}  // namespace ds::serving
