#pragma once

#include <algorithm>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "tests/unit/models/samples.hpp"

namespace ds::train {

struct ZooCase {
  std::string name;
  ModelRequest request;
};

inline void PrintTo(const ZooCase& each, std::ostream* out) {
  *out << each.name;
}

/// Small models of every kind, with everything random switched on.
inline std::vector<ZooCase> zoo_cases() {
  std::vector<ZooCase> cases;
  const auto add = [&](const std::string& name, ModelRequest request,
                       std::map<std::string, std::vector<double>> settings) {
    request.model.settings = std::move(settings);
    cases.push_back({name, std::move(request)});
  };
  const data::FieldShape text = wholes("text", {9}), label = wholes("label", {});
  add("text_classifier", request_for("text_classifier", text, label, 3),
      {{"width", {12}}, {"dropout", {0.3}}});
  add("bag_of_words", request_for("bag_of_words", text, label, 3), {{"width", {12}}, {"dropout", {0.3}}});
  add("mlp", request_for("mlp", numbers("features", {2, 5}), label, 4),
      {{"hidden", {16, 8}}, {"dropout", {0.2}}});
  ModelRequest regression = request_for("mlp", numbers("features", {6}), numbers("label", {3}), 0);
  regression.loss[0].name = "mse";
  add("mlp_numbers", regression, {{"hidden", {16}}});
  add("resnet", request_for("resnet", numbers("image", {3, 10, 12}), label, 3),
      {{"blocks", {1, 1}}, {"width", {8}}});
  add("resnet_large", request_for("resnet", {"image", data::Element::uint8, {64, 70}}, label, 3),
      {{"blocks", {1}}, {"width", {8}}});
  add("transformer", request_for("transformer", text, label, 3),
      {{"width", {16}}, {"heads", {2}}, {"layers", {2}}, {"feed_forward", {24}}, {"dropout", {0.1}}});
  add("transformer_first", request_for("transformer", text, label, 3),
      {{"width", {8}}, {"heads", {2}}, {"layers", {1}}, {"first_token", {1}}});
  add("lstm", request_for("lstm", text, label, 3), {{"width", {10}}, {"embedding", {6}}, {"dropout", {0.2}}});
  add("lstm_both", request_for("lstm", text, label, 3),
      {{"width", {10}}, {"layers", {2}}, {"bidirectional", {1}}, {"last", {1}}, {"dropout", {0.2}}});
  add("lstm_mean_both", request_for("lstm", text, label, 3),
      {{"width", {10}}, {"layers", {2}}, {"bidirectional", {1}}});
  ModelRequest flat =
      request_for("unet", numbers("image", {13, 11}), {"label", data::Element::uint8, {13, 11}}, 3);
  flat.loss.push_back(scheduler::LossTerm{});
  flat.loss.back().name = "dice";
  add("unet", flat, {{"width", {4}}, {"depth", {2}}});
  add("unet_coarse", flat, {{"width", {4}}, {"depth", {1}}, {"stride", {2}}});
  add("unet_volume", request_for("unet", numbers("image", {2, 5, 6, 7}), wholes("label", {5, 6, 7}), 2),
      {{"width", {4}}, {"depth", {2}}});
  return cases;
}

/// Trains a few steps by plain descent, and gives everything that the model then holds, with all losses.
inline std::vector<float> train_briefly(Model& model, const ModelRequest& request, int steps = 3) {
  std::vector<float> trace;
  const data::Batch batch = make_rows(request, 6);
  for (int step = 0; step < steps; ++step) {
    std::ranges::fill(model.gradients(), 0.0F);
    const auto made = model.accumulate(batch, 11 + static_cast<std::uint64_t>(step), 6, 1, {});
    trace.push_back(made ? static_cast<float>(made->loss) : -1.0F);
    for (std::size_t i = 0; i < model.parameters().size(); ++i)
      model.parameters()[i] -= 0.05F * model.gradients()[i];
  }
  trace.insert(trace.end(), model.parameters().begin(), model.parameters().end());
  trace.insert(trace.end(), model.buffers().begin(), model.buffers().end());
  for (const std::int64_t counter : model.counters()) trace.push_back(static_cast<float>(counter));
  return trace;
}

/// One line a case: a hash of the bits that training leaves.
inline std::string bits_of_all_cases() {
  std::string lines;
  for (const char* precision : {"fp32", "bf16", "fp16"}) {
    for (ZooCase& each : zoo_cases()) {
      each.request.precision = precision;
      const auto model = Model::create(each.request);
      if (!model) return each.name + ": " + model.error().message;
      std::uint64_t hash = 14695981039346656037U;
      for (const float value : train_briefly(**model, each.request)) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof(bits));
        hash = (hash ^ bits) * 1099511628211U;
      }
      lines += each.name + " " + precision + " " + std::to_string(hash) + "\n";
    }
  }
  return lines;
}

}  // namespace ds::train
