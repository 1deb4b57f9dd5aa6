#include <gtest/gtest.h>

#include <algorithm>

#include "actors/train/models/registry.hpp"
#include "tests/unit/models/zoo_cases.hpp"

namespace ds::train {
namespace {

std::string plugin(const std::string& name) {
  return std::string(DS_PLUGINS) + "/lib" + name + ".so";
}

ModelRequest request(const std::string& zoo, const std::string& library = "example_plugin") {
  ModelRequest made = request_for(zoo, numbers("features", {2, 5}), wholes("label", {}), 3);
  made.model.plugin = plugin(library);
  return made;
}

std::string refusal(const ModelRequest& request) {
  const auto model = Model::create(request);
  if (model) return "made";
  EXPECT_EQ(model.error().code, ErrorCode::invalid_argument);
  return model.error().message + (model.error().hint.empty() ? "" : " (" + model.error().hint + ")");
}

TEST(Plugin, BringsModelsOfTorchModules) {
  ModelRequest perceptron = request("perceptron");
  perceptron.model.settings["width"] = {8};
  const auto model = Model::create(perceptron), second = Model::create(perceptron);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->parameter_slots()[0].name, "first.weight");
  EXPECT_EQ((*model)->buffer_slots()[0].name, "norm.running_mean");
  EXPECT_EQ((*model)->counter_slots()[0].name, "norm.num_batches_tracked");
  EXPECT_EQ(train_briefly(**model, perceptron, 10), train_briefly(**second, perceptron, 10));
  EXPECT_EQ((*model)->counters()[0], 10);
  EXPECT_TRUE((*model)->to_state_dict());
  const auto script = (*model)->to_torchscript({});
  ASSERT_FALSE(script);
  EXPECT_EQ(script.error().code, ErrorCode::unsupported);
  perceptron.seed = 8;
  EXPECT_FALSE(std::ranges::equal((*Model::create(perceptron))->parameters(), (*second)->parameters()));
  EXPECT_EQ(refusal(request("perceptron")), "model.width: perceptron needs it");
}

TEST(Plugin, BringsModelsOfText) {
  const auto model = Model::create(request("linear"));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->parameters().size(), 33U);
  EXPECT_TRUE((*model)->to_torchscript({}));
  EXPECT_NE(refusal(request("broken")).find("nothing"), std::string::npos);
}

TEST(Plugin, LeavesTheZooInPlace) {
  ModelRequest mlp = request("mlp");
  EXPECT_EQ(refusal(mlp), "made");
}

TEST(Plugin, IsRefusedWithTheFileAndTheReason) {
  const auto expect = [](const std::string& library, const std::string& reason) {
    EXPECT_EQ(refusal(request("linear", library)).substr(0, (plugin(library) + reason).size() + 16),
              "model.plugin: " + plugin(library) + ": " + reason);
  };
  expect("missing", "there is no such file");
  expect("plugin_without_entry", "it has no function ds_plugin");
  expect("plugin_of_wrong_version", "it was built for version 2 of the interface, this is version 1");
  expect("plugin_with_taken_name", "it registers resnet, which exists");
  expect("plugin_that_throws", "registering its models failed: no licence");
  ModelRequest no_library = request("linear");
  no_library.model.plugin = std::string(DS_PLUGINS) + "/CTestTestfile.cmake";
  EXPECT_NE(refusal(no_library).find("it cannot be loaded"), std::string::npos);
}

TEST(Registry, KnowsTheZooAndSuggestsTheNearestName) {
  EXPECT_EQ(Registry().names(), (std::vector<std::string>{"bag_of_words", "lstm", "mlp", "resnet",
                                                          "text_classifier", "transformer", "unet"}));
  ModelRequest wrong = request("perceptrn");
  EXPECT_EQ(refusal(wrong),
            "model.zoo: no model \"perceptrn\", there are bag_of_words, broken, linear, lstm, mlp, "
            "perceptron, resnet, "
            "text_classifier, transformer, unet (did you mean perceptron?)");
}

}  // namespace
}  // namespace ds::train
