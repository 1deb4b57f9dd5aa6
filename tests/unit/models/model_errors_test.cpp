#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "actors/train/models/script_trace.hpp"
#include "tests/unit/models/samples.hpp"

namespace ds::train {
namespace {

ModelRequest mlp() {
  ModelRequest request = request_for("mlp", numbers("features", {4}), wholes("label", {}), 3);
  request.model.settings["hidden"] = {8};
  return request;
}

Error error_of(const ModelRequest& request) {
  const auto model = Model::create(request);
  return model ? Error{ErrorCode::internal, "made", ""} : model.error();
}

void expect_refused(const ModelRequest& request, const std::string& message) {
  const Error error = error_of(request);
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_EQ(error.message, message);
}

data::Batch with_label(std::uint64_t row, std::int64_t label) {
  data::Batch batch = make_rows(mlp(), 6);
  std::vector<std::int64_t> labels(6, 1);
  labels[row] = label;
  batch.fields[1].second = to_tensor(data::Element::int64, {6}, labels);
  return batch;
}

TEST(ModelErrors, NameRowLabelAndClassesOfALabelOutOfRange) {
  const auto model = Model::create(mlp());
  ASSERT_TRUE(model);
  for (const std::int64_t label :
       {std::int64_t{3}, std::int64_t{-2}, std::numeric_limits<std::int64_t>::max()}) {
    const data::Batch batch = with_label(4, label);
    const auto made = (*model)->accumulate(batch, 1, 6, 1, {});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(made.error().message,
              "row 4 of the batch has the label " + std::to_string(label) + ", the classes are 0 to 2");
    EXPECT_FALSE((*model)->judge(batch, false));
  }
}

TEST(ModelErrors, AreNoneForAnUnknownLabelWhichHasNoLoss) {
  const auto model = Model::create(mlp());
  ASSERT_TRUE(model);
  const auto all = (*model)->judge(with_label(0, 1), true),
             but_one = (*model)->judge(with_label(0, -1), true);
  ASSERT_TRUE(all && but_one);
  EXPECT_EQ(but_one->rows, 5U);
  EXPECT_EQ(but_one->expected[0], -1);
  EXPECT_EQ(all->scores.size(), 18U);
  EXPECT_NEAR(all->loss - but_one->loss, -std::log(all->scores[1]), 1e-5);
}

TEST(ModelErrors, NameTheSettingThatIsWrong) {
  ModelRequest request = mlp();
  request.model.settings["hidden"] = {8, 0};
  expect_refused(request, "model.hidden: expected a whole number from 1 to 1048576, got 0");
  request.model.settings["hidden"] = {1.5};
  expect_refused(request, "model.hidden: expected a whole number from 1 to 1048576, got 1.5");
  request = mlp();
  request.model.settings["dropout"] = {1};
  expect_refused(request, "model.dropout: expected a number in [0, 1), got 1");
  request = mlp();
  request.model.settings["hiden"] = {8};
  expect_refused(request, "model.hiden: mlp has no such setting, there are hidden, dropout");
  EXPECT_EQ(error_of(request).hint, "did you mean hidden?");
  request = request_for("transformer", wholes("text", {5}), wholes("label", {}), 3);
  request.model.settings = {{"width", {10}}, {"heads", {4}}};
  expect_refused(request, "model.heads: 4 heads do not divide the width 10");
}

TEST(ModelErrors, NameTheFieldThatDoesNotFitTheModel) {
  expect_refused(
      request_for("lstm", numbers("features", {4}), wholes("label", {}), 3),
      "model.zoo: lstm takes tokens (int64, one dimension), but the field `features` is float32 [4]");
  expect_refused(request_for("resnet", numbers("image", {4}), wholes("label", {}), 3),
                 "model.zoo: resnet takes images [height, width] or [channels, height, width], but the field "
                 "`image` is float32 [4]");
  expect_refused(
      request_for("unet", numbers("image", {3, 8, 8}), wholes("label", {8, 7}), 3),
      "model.zoo: unet takes images or volumes and masks of the same size, but the field `image` is "
      "float32 [3, 8, 8] and the field `label` is int64 [8, 7]");
  expect_refused(request_for("mlp", numbers("image", {8, 8}), wholes("label", {8, 8}), 3),
                 "model.zoo: mlp gives one class a sample, but the field `label` is int64 [8, 8]");
  ModelRequest two = mlp();
  two.fields.insert(two.fields.begin(), numbers("more", {2}));
  expect_refused(two, "model.zoo: mlp takes one input, the data has 2");
  two.fields = {numbers("features", {4})};
  expect_refused(two, "data.train: training needs a label");
}

TEST(ModelErrors, SayWhichPrecisionsThereAre) {
  ModelRequest request = mlp();
  request.precision = "int4";
  expect_refused(request, "precision: no precision \"int4\", there are fp32, bf16 and fp16");
}

TEST(ModelErrors, SayThatMemoryIsOut) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer ends the process at an allocation of this size";
#endif
  ModelRequest request = mlp();
  request.model.settings["hidden"] = {1 << 20, 1 << 20};  // 4 TiB
  const Error error = error_of(request);
  EXPECT_EQ(error.code, ErrorCode::resource_exhausted) << error.message;
  EXPECT_NE(error.message.find("out of memory"), std::string::npos) << error.message;
  EXPECT_NE(error.hint.find("resources.memory"), std::string::npos);
}

TEST(ModelErrors, RefuseABatchOfAnotherShape) {
  const auto model = Model::create(mlp());
  ASSERT_TRUE(model);
  data::Batch batch = make_rows(mlp(), 6);
  batch.fields[0].second.shape = {6, 5};
  const auto made = (*model)->accumulate(batch, 1, 6, 1, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "a batch's the field `features` is float32 [6, 5] where [6, 4] belong");
  batch.fields.erase(batch.fields.begin());
  EXPECT_FALSE((*model)->accumulate(batch, 1, 6, 1, {}));
}

TEST(ModelErrors, ShortenTheTraceOfAnInterpreterToLayerAndReason) {
  EXPECT_EQ(shorten_trace("The following operation failed in the TorchScript interpreter.\n"
                          "Traceback of TorchScript, serialized code (most recent call last):\n"
                          "  File \"code/__torch__.py\", line 12, in forward\n"
                          "    fc = self.fc\n"
                          "    return (fc).forward(x, )\n"
                          "            ~~~~~~~~~~~ <--- HERE\n"
                          "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x36 and 100x3)\n"),
            "layer fc: mat1 and mat2 shapes cannot be multiplied (1x36 and 100x3)");
  EXPECT_EQ(shorten_trace("Traceback of TorchScript, original code (most recent call last):\n"
                          "    y = torch.conv2d(x, getattr(self.layer1, \"0\").conv1.weight, None)\n"
                          "        ~~~~~~~~~~~~ <--- HERE\n"
                          "RuntimeError: one\nand two\n"),
            "layer layer1.0: one and two");
  EXPECT_EQ(shorten_trace("something else"), "something else");
}

}  // namespace
}  // namespace ds::train
