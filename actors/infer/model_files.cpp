#include "actors/infer/model_files.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace ds::infer {
namespace {

using Json = nlohmann::json;
using serving::Datatype;

Datatype datatype_of(const std::string& element) {
  if (element == "int64") return Datatype::int64;
  if (element == "uint8") return Datatype::uint8;
  return Datatype::fp32;
}

/// Throws what the JSON library throws.
std::vector<serving::TensorSpec> inputs_of(const Json& preprocessing) {
  std::vector<serving::TensorSpec> inputs;
  for (const Json& field : preprocessing.at("fields")) {
    if (field.at("name") == "label") continue;
    serving::TensorSpec input{field.at("name"), datatype_of(field.value("element", "float32")), {-1}};
    for (const std::int64_t length : field.at("shape").get<std::vector<std::int64_t>>())
      input.shape.push_back(length);
    inputs.push_back(std::move(input));
  }
  return inputs;
}

Result<void> add_encoder(const std::map<std::string, std::string>& files, const Json& preprocessing,
                         ModelFiles& model) {
  using Merges = std::vector<std::pair<std::string, std::string>>;
  const std::string& merges = files.at("merges.json");
  auto encoder = TextEncoder::make(Json::parse(files.at("vocabulary.json")).get<std::vector<std::string>>(),
                                   merges.empty() ? Merges{} : Json::parse(merges).get<Merges>(),
                                   preprocessing.value("ngrams", 1U), preprocessing.at("length"));
  if (!encoder) return tl::unexpected(encoder.error());
  for (std::size_t i = 0; i < model.inputs.size(); ++i) {
    serving::TensorSpec& input = model.inputs[i];
    const bool holds_tokens = input.datatype == Datatype::int64 && input.shape.size() == 2;
    if (!holds_tokens) continue;
    input = {input.name, Datatype::bytes, {-1}};
    model.encoded = i;
    model.encoder = *std::move(encoder);
    return {};
  }
  return {};
}

}  // namespace

std::map<std::string, std::string> model_file_names() {
  return {{"preprocessing.json", ""}, {"labels.json", ""}, {"vocabulary.json", ""}, {"merges.json", ""}};
}

Result<ModelFiles> read_model_files(const std::map<std::string, std::string>& files) {
  ModelFiles model;
  if (files.at("preprocessing.json").empty()) return model;
  try {
    const Json preprocessing = Json::parse(files.at("preprocessing.json"));
    model.inputs = inputs_of(preprocessing);
    if (const std::string& labels = files.at("labels.json"); !labels.empty())
      model.labels = Json::parse(labels).get<std::vector<std::string>>();
    if (files.at("vocabulary.json").empty()) return model;
    if (const auto added = add_encoder(files, preprocessing, model); !added)
      return tl::unexpected(added.error());
    return model;
  } catch (const Json::exception& thrown) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("what stands beside its module can't be read: {}", thrown.what()));
  }
}

}  // namespace ds::infer
