#include "actors/train/state_description.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace ds::train {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 2;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json slots_json(const std::vector<TensorSlot>& slots) {
  Json list = Json::array();
  for (const TensorSlot& slot : slots)
    list.push_back({{"name", slot.name}, {"shape", slot.shape}, {"offset", slot.offset}});
  return list;
}

std::vector<TensorSlot> slots_from(const Json& list) {
  std::vector<TensorSlot> slots;
  for (const Json& one : list) {
    TensorSlot slot{one.at("name"), one.at("shape"), one.at("offset"), 1};
    for (const std::int64_t length : slot.shape) slot.size *= static_cast<std::uint64_t>(length);
    slots.push_back(std::move(slot));
  }
  return slots;
}

/// Slots lie one after the other without gaps.
bool are_gapless(const std::vector<TensorSlot>& slots) {
  std::uint64_t offset = 0;
  for (const TensorSlot& slot : slots) {
    if (slot.offset != offset) return false;
    offset += slot.size;
  }
  return true;
}

Json model_json(const StateDescription& description) {
  const ModelRequest& request = description.request;
  Json loss = Json::array();
  for (const scheduler::LossTerm& term : request.loss) {
    loss.push_back({{"name", term.name},
                    {"weight", term.weight},
                    {"gamma", term.gamma},
                    {"label_smoothing", term.label_smoothing},
                    {"classes", term.classes}});
  }
  return {{"zoo", request.model.zoo},           {"module_sha256", description.module_sha256},
          {"settings", request.model.settings}, {"loss", std::move(loss)},
          {"classes", request.classes},         {"vocabulary", request.vocabulary},
          {"precision", request.precision}};
}

Json fields_json(const std::vector<data::FieldShape>& fields) {
  Json list = Json::array();
  for (const data::FieldShape& field : fields) {
    list.push_back(
        {{"name", field.name}, {"element", static_cast<int>(field.element)}, {"shape", field.shape}});
  }
  return list;
}

Json data_json(const StateDescription& description) {
  return {{"fingerprint", description.data.fingerprint}, {"fields", fields_json(description.request.fields)}};
}

/// Throws what the JSON library throws for a missing field or another type.
ModelRequest request_from(const Json& model, const Json& data) {
  ModelRequest request;
  request.model.zoo = model.at("zoo");
  request.model.settings = model.at("settings").get<std::map<std::string, std::vector<double>>>();
  for (const Json& term : model.at("loss")) {
    request.loss.push_back({term.at("name"), term.at("weight"), term.at("gamma"), term.at("label_smoothing"),
                            term.at("classes").get<std::vector<double>>()});
  }
  for (const Json& field : data.at("fields")) {
    const int element = field.at("element");
    request.fields.push_back({field.at("name"), static_cast<data::Element>(element),
                              field.at("shape").get<std::vector<std::int64_t>>()});
  }
  request.classes = model.at("classes");
  request.vocabulary = model.at("vocabulary");
  request.precision = model.at("precision");
  return request;
}

StateDescription from_json(const Json& json) {
  StateDescription description;
  description.request = request_from(json.at("model"), json.at("data"));
  description.request.model.plugin = json.at("plugin");
  description.module_sha256 = json.at("model").at("module_sha256");
  description.parameters = slots_from(json.at("parameters"));
  description.buffers = slots_from(json.at("buffers"));
  description.counters = slots_from(json.at("counters"));
  description.data = {json.at("data").at("fingerprint"),
                      {json.at("vocabulary"), json.at("merges"), json.at("labels"),
                       json.value("ngrams", std::uint32_t{1})}};  // states from before n-grams lack it
  return description;
}

/// Says where two objects of one shape differ: `settings.width is [16.0] in the job and [32.0] in the state`.
void compare(const std::string& path, const Json& job, const Json& state, std::vector<std::string>& found) {
  if (job == state) return;
  if (!job.is_object() || !state.is_object()) {
    found.push_back(fmt::format("{} is {} in the job and {} in the state", path, dump(job), dump(state)));
    return;
  }
  Json names = job;
  names.update(state);
  for (const auto& [name, ignored] : names.items()) {
    compare(path + "." + name, job.value(name, Json()), state.value(name, Json()), found);
  }
}

}  // namespace

bool StateDescription::operator==(const StateDescription& other) const {
  return to_json(*this) == to_json(other);
}

std::string to_json(const StateDescription& description) {
  return dump({{"format", kFormat},
               {"model", model_json(description)},
               {"plugin", description.request.model.plugin},
               {"parameters", slots_json(description.parameters)},
               {"buffers", slots_json(description.buffers)},
               {"counters", slots_json(description.counters)},
               {"vocabulary", description.data.preprocessing.vocabulary},
               {"merges", description.data.preprocessing.merges},
               {"labels", description.data.preprocessing.labels},
               {"ngrams", description.data.preprocessing.ngrams},
               {"data", data_json(description)}});
}

Result<StateDescription> to_state_description(const std::string& json) {
  try {
    const Json parsed = Json::parse(json);
    const int format = parsed.at("format");
    if (format != kFormat) {
      return fail(ErrorCode::unsupported,
                  fmt::format("the state is of format {}, this program reads format {}", format, kFormat),
                  "use the version of the program that wrote it, or a newer one");
    }
    StateDescription description = from_json(parsed);
    const bool consistent =
        are_gapless(description.parameters) && are_gapless(description.buffers) &&
        are_gapless(description.counters) && !description.parameters.empty() &&
        description.request.vocabulary == description.data.preprocessing.vocabulary.size() &&
        description.request.classes == description.data.preprocessing.labels.size() &&
        description.data.preprocessing.ngrams >= 1 &&
        description.data.preprocessing.ngrams <= scheduler::Tokenize::kMostNgrams;
    if (!consistent) return fail(ErrorCode::data_loss, "the description of the state contradicts itself");
    return description;
  } catch (const Json::exception& e) {
    return fail(ErrorCode::data_loss,
                fmt::format("the description of the state cannot be read: {}", e.what()));
  }
}

Result<void> check_same_training(const StateDescription& job, const StateDescription& state) {
  std::vector<std::string> data, model;
  compare("data", data_json(job), data_json(state), data);
  compare("model", model_json(job), model_json(state), model);
  if (!data.empty()) {
    return fail(
        ErrorCode::conflict, fmt::format("the state was trained on other data: {}", fmt::join(data, "; ")),
        "give the job the files and the settings that it was first submitted with, or submit a new job");
  }
  if (!model.empty()) {
    return fail(ErrorCode::conflict,
                fmt::format("the state belongs to another model: {}", fmt::join(model, "; ")),
                "give the job the model that it was first submitted with, or submit a new job");
  }
  if (!(job == state))
    return fail(
        ErrorCode::conflict,
        "the state has another vocabulary, other labels or other tensors than the same job gives here",
        "run the job with the version of the program that began it, or submit a new job");
  return {};
}

}  // namespace ds::train
