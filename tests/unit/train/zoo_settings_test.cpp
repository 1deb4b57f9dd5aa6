#include "scheduler/spec/zoo_settings.hpp"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>

#include "actors/train/model.hpp"

namespace ds::train {
namespace {

/// A request for the model with every setting that a job file fills in.
ModelRequest request_for(const std::string& zoo) {
  ModelRequest request;
  request.model.zoo = zoo;
  for (const scheduler::ZooSetting& setting : scheduler::find_zoo_settings(zoo)) {
    if (setting.count == 0) continue;  // it depends on another one
    auto& values = request.model.settings[std::string(setting.name)];
    values.assign(setting.values.begin(),
                  setting.values.begin() + static_cast<std::ptrdiff_t>(setting.count));
  }
  request.loss = {scheduler::LossTerm{}};
  request.classes = 3;
  const bool text =
      zoo == "text_classifier" || zoo == "bag_of_words" || zoo == "transformer" || zoo == "lstm";
  if (text) request.vocabulary = 20;
  data::FieldShape input{"image", data::Element::float32, {1, 16, 16}};
  if (text) input = {"text", data::Element::int64, {8}};
  data::FieldShape label{"label", data::Element::int64, {}};
  if (zoo == "unet") label.shape = {16, 16};
  request.fields = {input, label};
  return request;
}

TEST(ZooSettings, OfTheJobFileAreThoseOfTheModels) {
  for (const char* zoo :
       {"text_classifier", "bag_of_words", "mlp", "resnet", "transformer", "lstm", "unet"}) {
    ASSERT_FALSE(scheduler::find_zoo_settings(zoo).empty()) << zoo;
    const auto model = Model::create(request_for(zoo));
    EXPECT_TRUE(model) << zoo << ": " << model.error().message;
  }
}

/// The names in "…: MODEL has no such setting, there are A, B, C".
std::set<std::string> names_in(const std::string& message) {
  const std::string mark = "there are ";
  std::set<std::string> names;
  std::istringstream rest(message.substr(message.find(mark) + mark.size()));
  for (std::string name; std::getline(rest >> std::ws, name, ',');) names.insert(name);
  return names;
}

TEST(ZooSettings, OfTheModelsCanAllBeGivenInAJobFile) {
  for (const char* zoo :
       {"text_classifier", "bag_of_words", "mlp", "resnet", "transformer", "lstm", "unet"}) {
    ModelRequest request = request_for(zoo);
    request.model.settings["no_such_setting"] = {1};
    const auto refused = Model::create(request);
    ASSERT_FALSE(refused) << zoo;
    std::set<std::string> ours;
    for (const scheduler::ZooSetting& setting : scheduler::find_zoo_settings(zoo))
      ours.insert(std::string(setting.name));
    EXPECT_EQ(names_in(refused.error().message), ours) << zoo << ": " << refused.error().message;
  }
}

}  // namespace
}  // namespace ds::train
