#include "actors/train/state_description.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ds::train {
namespace {

StateDescription description() {
  return {{.vocabulary = 4, .length = 8, .width = 6, .classes = 2, .dropout = 0.1},
          {"<pad>", "<unknown>", "straße", "quote\""},
          {"no", "yes"},
          {"abc123", "text", "label", 8000, 8}};
}

TEST(StateDescription, SurvivesJsonWithEqualBytes) {
  const std::string json = to_json(description());
  const Result<StateDescription> back = to_state_description(json);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, description());
  EXPECT_EQ(to_json(*back), json);
}

TEST(StateDescription, NamesEachParameterWithShapeAndOffset) {
  const auto json = nlohmann::json::parse(to_json(description()));
  EXPECT_EQ(json["parameters"][1]["name"], "convolution.weight");
  EXPECT_EQ(json["parameters"][1]["shape"], (std::vector<int>{6, 6, 3}));
  EXPECT_EQ(json["parameters"][1]["offset"], 24);
}

TEST(StateDescription, RefusesEveryTruncationAndMissingField) {
  const std::string json = to_json(description());
  for (std::size_t size = 0; size < json.size(); ++size) {
    const auto result = to_state_description(json.substr(0, size));
    ASSERT_FALSE(result);
    ASSERT_EQ(result.error().code, ErrorCode::data_loss);
  }
  for (const char* field : {"format", "model", "parameters", "vocabulary", "labels", "data"}) {
    auto parsed = nlohmann::json::parse(json);
    parsed.erase(field);
    EXPECT_FALSE(to_state_description(parsed.dump())) << field;
  }
}

TEST(StateDescription, RefusesSizesThatContradictEachOther) {
  for (const char* field : {"/model/vocabulary", "/model/classes", "/model/width", "/parameters/1/offset",
                            "/parameters/0/shape/0"}) {
    auto parsed = nlohmann::json::parse(to_json(description()));
    parsed[nlohmann::json::json_pointer(field)] = 5;
    EXPECT_FALSE(to_state_description(parsed.dump())) << field;
  }
}

TEST(StateDescription, RefusesANewerFormatBySayingSo) {
  auto parsed = nlohmann::json::parse(to_json(description()));
  parsed["format"] = 2;
  const auto result = to_state_description(parsed.dump());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unsupported);
}

TEST(CheckSameTraining, SaysWhichPartOfTheDataOrTheModelDiffers) {
  StateDescription other = description();
  EXPECT_TRUE(check_same_training(description(), other));
  other.data.sha256 = "def456";
  Result<void> result = check_same_training(description(), other);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::conflict);
  EXPECT_NE(result.error().message.find("sha256 is abc123 in the job and def456 in the state"),
            std::string::npos);
  EXPECT_FALSE(result.error().hint.empty());

  other = description();
  other.model.width = 12;
  result = check_same_training(description(), other);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("model.width is 6 in the job and 12 in the state"),
            std::string::npos);

  other = description();
  other.vocabulary[2] = "strasse";
  EXPECT_FALSE(check_same_training(description(), other));
}

}  // namespace
}  // namespace ds::train
