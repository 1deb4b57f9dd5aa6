#include "actors/serving/model_metadata.hpp"

#include <gtest/gtest.h>

#include "tests/unit/serving/requests.hpp"

namespace ds::serving {
namespace {

ModelMetadata simple_model() {
  ModelMetadata model;
  model.name = "simple";
  model.versions = {1};
  model.inputs = {{"INPUT0", Datatype::int32, {-1, 16}}, {"INPUT1", Datatype::int32, {-1, -1}}};
  model.outputs = {{"OUTPUT0", Datatype::int32, {-1, 16}}};
  model.max_batch_size = 8;
  return model;
}

InferenceRequest request_of(std::vector<std::int64_t> first, std::vector<std::int64_t> second) {
  InferenceRequest request;
  request.inputs = {{"INPUT0", Datatype::int32, std::move(first), {}},
                    {"INPUT1", Datatype::int32, std::move(second), {}}};
  return request;
}

std::string check(const ModelMetadata& model, const InferenceRequest& request) {
  const auto rows = check_inputs(model, request);
  if (rows) return std::to_string(*rows) + " rows";
  EXPECT_EQ(rows.error().code, ErrorCode::invalid_argument);
  return rows.error().message;
}

TEST(CheckInputs, GivesTheRows) {
  EXPECT_EQ(check(simple_model(), request_of({3, 16}, {3, 99})), "3 rows");
  EXPECT_EQ(check(simple_model(), request_of({8, 16}, {8, 0})), "8 rows");
  ModelMetadata unbatched = simple_model();
  unbatched.max_batch_size = 0;
  EXPECT_EQ(check(unbatched, request_of({100, 16}, {7, 1})), "1 rows");
}

TEST(CheckInputs, NamesInputsThatAreMissingUnknownOrThereTwice) {
  InferenceRequest one = request_of({1, 16}, {1, 1});
  one.inputs.pop_back();
  EXPECT_EQ(
      check(simple_model(), one),
      "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but missing required "
      "input(s) ['INPUT1']. Please provide all required input(s).");
  InferenceRequest unknown = request_of({1, 16}, {1, 1});
  unknown.inputs[1].name = "OTHER";
  EXPECT_EQ(check(simple_model(), unknown),
            "unexpected inference input 'OTHER' for model 'simple'. Its inputs are ['INPUT0','INPUT1']");
  InferenceRequest twice = request_of({1, 16}, {1, 16});
  twice.inputs[1].name = "INPUT0";
  EXPECT_EQ(check(simple_model(), twice), "input 'INPUT0' already exists in request");
  InferenceRequest outputs = request_of({1, 16}, {1, 1});
  outputs.outputs = {{"OUTPUT0"}, {"OUTPUT7"}};
  EXPECT_EQ(check(simple_model(), outputs),
            "unexpected inference output 'OUTPUT7' for model 'simple'. Its outputs are ['OUTPUT0']");
}

TEST(CheckInputs, SayWhatWasExpectedAndWhatCame) {
  InferenceRequest typed = request_of({1, 16}, {1, 1});
  typed.inputs[0].datatype = Datatype::fp32;
  EXPECT_EQ(check(simple_model(), typed),
            "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'");
  EXPECT_EQ(check(simple_model(), request_of({2, 8}, {2, 8})),
            "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [2,8]");
  EXPECT_EQ(
      check(simple_model(), request_of({16}, {1, 1})),
      "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [16]. NOTE: the first "
      "dimension is the batch");
  EXPECT_EQ(check(simple_model(), request_of({1, 16, 1}, {1, 1})),
            "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [1,16,1]");
  EXPECT_EQ(check(simple_model(), request_of({2, 16}, {3, 1})),
            "input 'INPUT1' batch size does not match other inputs for 'simple': expected 2, got 3");
  EXPECT_EQ(check(simple_model(), request_of({9, 16}, {9, 1})),
            "inference request batch-size must be <= 8 for 'simple', got 9");
  EXPECT_EQ(check(simple_model(), request_of({0, 16}, {0, 1})),
            "inference request batch-size must be >= 1 for 'simple'");
}

TEST(CheckInputs, WantsABatchDimensionWhereTheModelHasOne) {
  ModelMetadata odd = simple_model();
  odd.inputs = {{"INPUT0", Datatype::int32, {}}};
  InferenceRequest request;
  request.inputs = {{"INPUT0", Datatype::int32, {}, {}}};
  EXPECT_EQ(check(odd, request),
            "input 'INPUT0' has no shape but model requires batch dimension for 'simple'");
}

}  // namespace
}  // namespace ds::serving
