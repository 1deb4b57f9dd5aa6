#include "actors/train/state_description.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ds::train {
namespace {

StateDescription description() {
  StateDescription made;
  made.request.model.zoo = "text_classifier";
  made.request.model.settings = {{"width", {6}}, {"dropout", {0.1}}};
  made.request.loss = {scheduler::LossTerm{}};
  made.request.fields = {{"text", data::Element::int64, {8}}, {"label", data::Element::int64, {}}};
  made.request.classes = 2;
  made.request.vocabulary = 4;
  made.parameters = {{"embedding.weight", {4, 6}, 0, 24},
                     {"convolution.weight", {6, 6, 3}, 24, 108},
                     {"output.bias", {2}, 132, 2}};
  made.buffers = {{"norm.running_mean", {6}, 0, 6}};
  made.counters = {{"norm.num_batches_tracked", {}, 0, 1}};
  made.data = {"abc123", {{"<pad>", "<unknown>", "straße", "quote\""}, {{"a", "b"}}, {"no", "yes"}}};
  return made;
}

TEST(StateDescription, SurvivesJsonWithEqualBytes) {
  const std::string json = to_json(description());
  const Result<StateDescription> back = to_state_description(json);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, description());
  EXPECT_EQ(back->parameters, description().parameters);
  EXPECT_EQ(back->counters, description().counters);
  EXPECT_EQ(to_json(*back), json);
}

TEST(StateDescription, KeepsTheLengthOfNgramsAndTakesStatesFromBeforeThereWereSome) {
  StateDescription pairs = description();
  pairs.data.preprocessing.merges.clear();
  pairs.data.preprocessing.ngrams = 2;
  const auto back = to_state_description(to_json(pairs));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->data.preprocessing.ngrams, 2U);
  EXPECT_FALSE(*back == description());

  auto older = nlohmann::json::parse(to_json(description()));
  ASSERT_EQ(older.erase("ngrams"), 1U);
  const auto read = to_state_description(older.dump());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, description());
  EXPECT_TRUE(check_same_training(description(), *read));

  for (const int ngrams : {0, 4}) {
    auto damaged = older;
    damaged["ngrams"] = ngrams;
    EXPECT_FALSE(to_state_description(damaged.dump())) << ngrams;
  }
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
  for (const char* field :
       {"format", "model", "parameters", "buffers", "counters", "vocabulary", "labels", "data"}) {
    auto parsed = nlohmann::json::parse(json);
    parsed.erase(field);
    EXPECT_FALSE(to_state_description(parsed.dump())) << field;
  }
}

TEST(StateDescription, RefusesSizesThatContradictEachOther) {
  for (const char* field :
       {"/model/vocabulary", "/model/classes", "/parameters/1/offset", "/parameters/0/shape/0"}) {
    auto parsed = nlohmann::json::parse(to_json(description()));
    parsed[nlohmann::json::json_pointer(field)] = 5;
    EXPECT_FALSE(to_state_description(parsed.dump())) << field;
  }
}

TEST(StateDescription, RefusesAnotherFormatBySayingSo) {
  for (const int format : {1, 3}) {
    auto parsed = nlohmann::json::parse(to_json(description()));
    parsed["format"] = format;
    const auto result = to_state_description(parsed.dump());
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::unsupported);
  }
}

TEST(CheckSameTraining, SaysWhichPartOfTheDataOrTheModelDiffers) {
  StateDescription other = description();
  EXPECT_TRUE(check_same_training(description(), other));
  other.data.fingerprint = "def456";
  Result<void> result = check_same_training(description(), other);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::conflict);
  EXPECT_NE(
      result.error().message.find("data.fingerprint is \"abc123\" in the job and \"def456\" in the state"),
      std::string::npos)
      << result.error().message;
  EXPECT_FALSE(result.error().hint.empty());

  other = description();
  other.request.model.settings["width"] = {12};
  result = check_same_training(description(), other);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("model.settings.width is [6.0] in the job and [12.0] in the state"),
            std::string::npos)
      << result.error().message;

  other = description();
  other.data.preprocessing.vocabulary[2] = "strasse";
  EXPECT_FALSE(check_same_training(description(), other));
}

}  // namespace
}  // namespace ds::train
