#include "clients/predict.hpp"

#include <gtest/gtest.h>

#include "clients/failure.hpp"
#include "clients/json_fields.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

const json kTexts = {{"inputs", {{{"name", "text"}, {"datatype", "BYTES"}, {"shape", {-1}}}}}};
const json kNumbers = {{"inputs", {{{"name", "x"}, {"datatype", "FP32"}, {"shape", {-1, 2}}}}}};

std::string refuse(const json& metadata, const std::vector<std::string>& texts,
                   const std::vector<std::string>& tensors) {
  try {
    return make_request(metadata, texts, tensors).dump();
  } catch (const Failure& failure) {
    return failure.what();
  }
}

TEST(Predict, MakesARowOfEachText) {
  const auto request = make_request(kTexts, {"one", "two"}, {});
  EXPECT_EQ(request, json::parse(R"({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2],
                                     "data": ["one", "two"]}]})"));
}

TEST(Predict, TakesShapesFromHowTheJsonIsNested) {
  const auto request = make_request(kNumbers, {}, {"x=[[1, 2], [3, 4.5], [5, 6]]"});
  EXPECT_EQ(request.at("inputs").at(0).at("shape"), json({3, 2}));
  EXPECT_EQ(request.at("inputs").at(0).at("datatype"), "FP32");
}

TEST(Predict, SaysWhatTheModelTakes) {
  EXPECT_NE(refuse(kNumbers, {"a text"}, {}).find("takes no texts"), std::string::npos);
  EXPECT_NE(refuse(kNumbers, {}, {"y=[1]"}).find("name of an input"), std::string::npos);
  EXPECT_NE(refuse(kNumbers, {}, {"x=[1"}).find("a list in JSON"), std::string::npos);
  EXPECT_NE(refuse(kTexts, {}, {}).find("nothing to predict from"), std::string::npos);
}

TEST(Predict, ShowsARowOfTheBatchInALine) {
  const auto answer = json::parse(R"({"outputs": [
    {"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 1.5, 2.5, 3.5]},
    {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["good", "bad"]}]})");
  EXPECT_EQ(format_prediction(answer, false),
            "SCORES    LABEL\n"
            "0.25 1.5  good\n"
            "2.5 3.5   bad\n");
}

TEST(Predict, LeavesOutMostOfManyNumbers) {
  const auto answer =
      json::parse(R"({"outputs": [{"name": "y", "shape": [1, 9], "data": [1, 2, 3, 4, 5, 6, 7, 8, 9]}]})");
  EXPECT_NE(format_prediction(answer, false).find("1 2 3 4 5 6 … (9 in all)"), std::string::npos);
}

TEST(Predict, ShowsNumbersThatJsonDoesNotHave) {
  const auto answer = parse_json(
      R"({"outputs": [{"name": "y", "shape": [2, 2], "data": [NaN,-Infinity, Infinity, 1.5]},
                      {"name": "NaN", "shape": [2], "data": ["\\\"NaN", "so Infinity"]}]})");
  EXPECT_EQ(format_prediction(answer, false),
            "Y              NAN\n"
            "NaN -Infinity  \\\"NaN\n"
            "Infinity 1.5   so Infinity\n");
  EXPECT_TRUE(parse_json("[NaN").is_discarded());
  EXPECT_TRUE(parse_json("\"NaN").is_discarded());
  EXPECT_TRUE(parse_json("\"\\").is_discarded());
}

}  // namespace
}  // namespace ds::clients
