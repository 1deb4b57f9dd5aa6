#include "actors/train/state_description.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace ds::train {
namespace {

constexpr int kFormat = 1;
constexpr const char* kModel = "text_classifier";

nlohmann::json to_json(const ModelShape& shape) {
  return {{"zoo", kModel},        {"vocabulary", shape.vocabulary}, {"length", shape.length},
          {"width", shape.width}, {"classes", shape.classes},       {"dropout", shape.dropout}};
}

nlohmann::json parameters_json(const ModelShape& shape) {
  nlohmann::json parameters = nlohmann::json::array();
  for (const ParameterSlot& slot : parameter_slots(shape)) {
    parameters.push_back({{"name", slot.name}, {"shape", slot.shape}, {"offset", slot.offset}});
  }
  return parameters;
}

nlohmann::json to_json(const DataFingerprint& data) {
  return {{"sha256", data.sha256},
          {"text_column", data.text_column},
          {"label_column", data.label_column},
          {"vocabulary_limit", data.vocabulary_limit},
          {"length", data.length}};
}

/// Throws what the JSON library throws for a missing field or another type.
StateDescription from_json(const nlohmann::json& json) {
  const nlohmann::json& model = json.at("model");
  const nlohmann::json& data = json.at("data");
  return {{model.at("vocabulary"), model.at("length"), model.at("width"), model.at("classes"),
           model.at("dropout")},
          json.at("vocabulary"),
          json.at("labels"),
          {data.at("sha256"), data.at("text_column"), data.at("label_column"), data.at("vocabulary_limit"),
           data.at("length")}};
}

/// Collects the fields that differ.
class Differences {
 public:
  template <class T>
  void compare(const char* field, const T& job, const T& state) {
    if (job != state)
      found_.push_back(fmt::format("{} is {} in the job and {} in the state", field, job, state));
  }
  bool none() const { return found_.empty(); }
  std::string text() const { return fmt::format("{}", fmt::join(found_, "; ")); }

 private:
  std::vector<std::string> found_;
};

}  // namespace

std::string to_json(const StateDescription& description) {
  const nlohmann::json json{{"format", kFormat},
                            {"model", to_json(description.model)},
                            {"parameters", parameters_json(description.model)},
                            {"vocabulary", description.vocabulary},
                            {"labels", description.labels},
                            {"data", to_json(description.data)}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<StateDescription> to_state_description(const std::string& json) {
  try {
    const nlohmann::json parsed = nlohmann::json::parse(json);
    const int format = parsed.at("format");
    if (format != kFormat || parsed.at("model").at("zoo") != kModel) {
      return fail(ErrorCode::unsupported,
                  fmt::format("the state is of format {}, this program reads format {} of {}", format,
                              kFormat, kModel),
                  "use the version of the program that wrote it, or a newer one");
    }
    StateDescription description = from_json(parsed);
    const ModelShape& shape = description.model;
    const bool consistent = description.vocabulary.size() == shape.vocabulary &&
                            description.labels.size() == shape.classes && shape.width > 0 &&
                            shape.length > 0 && shape.dropout >= 0 && shape.dropout < 1 &&
                            parsed.at("parameters") == parameters_json(shape);
    if (!consistent) return fail(ErrorCode::data_loss, "the description of the state contradicts itself");
    return description;
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorCode::data_loss,
                fmt::format("the description of the state cannot be read: {}", e.what()));
  }
}

Result<void> check_same_training(const StateDescription& job, const StateDescription& state) {
  Differences model, data;
  model.compare("model.width", job.model.width, state.model.width);
  model.compare("model.dropout", job.model.dropout, state.model.dropout);
  data.compare("the training file's sha256", job.data.sha256, state.data.sha256);
  data.compare("the text column", job.data.text_column, state.data.text_column);
  data.compare("the label column", job.data.label_column, state.data.label_column);
  data.compare("tokenize.vocabulary", job.data.vocabulary_limit, state.data.vocabulary_limit);
  data.compare("pad_sequences.length", job.data.length, state.data.length);
  if (!data.none()) {
    return fail(
        ErrorCode::conflict, "the state was trained on other data: " + data.text(),
        "give the job the file and the settings that it was first submitted with, or submit a new job");
  }
  if (!model.none()) {
    return fail(ErrorCode::conflict, "the state belongs to another model: " + model.text(),
                "give the job the model that it was first submitted with, or submit a new job");
  }
  if (!(job == state))
    return fail(ErrorCode::conflict,
                "the state has another vocabulary or other labels than the same data gives here",
                "run the job with the version of the program that began it, or submit a new job");
  return {};
}

}  // namespace ds::train
