#include "scheduler/models/model_registry.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::string_view kNewest = "newest";
constexpr std::string_view kDefaultTag = "prod";

std::string quoted(std::string_view text) {
  return to_quoted(std::string(text.substr(0, 80)));
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  const auto number = parse_whole(text);
  return number.fault == NumberFault::none ? std::optional(number.value) : std::nullopt;
}

/// `did you mean prod?`, or where all are listed.
std::string hint_of(std::string_view word, const std::vector<std::string_view>& known,
                    std::string otherwise) {
  const auto near = nearest(word, known);
  return near.empty() ? otherwise : "did you mean " + near + "?";
}

ModelFault no_such_version(const RegisteredModel& model, std::uint64_t number) {
  const bool has_all = model.versions.size() == model.last;
  return {"model " + model.name + " has no version " + std::to_string(number),
          has_all ? "it has 1 to " + std::to_string(model.last)
                  : "others were removed: ds-submit models " + model.name + " shows those there are"};
}

ModelFault no_such_tag(const RegisteredModel& model, std::string_view tag) {
  std::vector<std::string_view> tags;
  std::string list;
  for (const auto& [name, moves] : model.tags) {
    tags.push_back(name);
    list += (list.empty() ? "" : ", ") + name;
  }
  return {
      "model " + model.name + " has no tag " + quoted(tag),
      hint_of(tag, tags,
              list.empty() ? "it has none yet: ds-submit promote " + model.name + " TAG" : "it has " + list)};
}

}  // namespace

bool is_tag(std::string_view tag) {
  const bool is_number = std::ranges::all_of(tag, [](char c) { return c >= '0' && c <= '9'; });
  return is_identifier(tag) && !is_number && tag != kNewest;
}

ModelFault explain_tag(std::string_view tag) {
  return {quoted(tag) + " can't be a tag",
          "such as prod or best: letters a-z, digits, '.', '_' and '-', no number and not newest"};
}

const ModelVersion* RegisteredModel::find(std::uint64_t number) const {
  const auto found = std::ranges::lower_bound(versions, number, {}, &ModelVersion::number);
  return found == versions.end() || found->number != number ? nullptr : &*found;
}

std::uint64_t RegisteredModel::tagged(std::string_view tag) const {
  const auto found = tags.find(tag);
  return found == tags.end() ? 0 : found->second.back();
}

const RegisteredModel* ModelRegistry::find(std::string_view model) const {
  const auto found = models_.find(model);
  return found == models_.end() ? nullptr : &found->second;
}

std::variant<ModelRegistry::Found, ModelFault> ModelRegistry::resolve(std::string_view name,
                                                                      std::string_view reference) const {
  const RegisteredModel* model = find(name);
  if (model == nullptr) {
    std::vector<std::string_view> names;
    for (const auto& [known, entry] : models_) names.push_back(known);
    return ModelFault{"there is no model " + quoted(name) + " in the registry",
                      hint_of(name, names, "ds-submit models shows those there are")};
  }
  if (reference.empty() && model->tagged(kDefaultTag) != 0) reference = kDefaultTag;
  if (reference.empty() || reference == kNewest) return Found{model, &model->versions.back()};
  if (const auto number = number_in(reference)) {
    const auto* version = model->find(*number);
    if (version == nullptr) return no_such_version(*model, *number);
    return Found{model, version};
  }
  const auto tagged = model->tagged(reference);
  if (tagged == 0) return no_such_tag(*model, reference);
  return Found{model, model->find(tagged), std::string(reference)};
}

const ModelVersion* ModelRegistry::find_same(std::string_view name, const ModelVersion& version) const {
  const RegisteredModel* model = find(name);
  if (model == nullptr) return nullptr;
  const auto found = std::ranges::find_if(model->versions, [&](const ModelVersion& one) {
    if (one.is_file() || version.is_file()) return !one.digest.empty() && one.digest == version.digest;
    return one.source == version.source && one.step == version.step;
  });
  return found == model->versions.end() ? nullptr : &*found;
}

std::optional<ModelFault> ModelRegistry::check_room(std::string_view name, std::string_view tag) const {
  const RegisteredModel* model = find(name);
  if (model == nullptr && models_.size() >= kMostModels)
    return ModelFault{"the registry has " + std::to_string(kMostModels) + " models, and that is the most",
                      "give one of them another version: ds-submit models"};
  if (model == nullptr) return std::nullopt;
  if (model->versions.size() >= kMostVersions)
    return ModelFault{
        "model " + model->name + " has " + std::to_string(kMostVersions) + " versions, and that is the most",
        "go on under another name"};
  if (!tag.empty() && model->tagged(tag) == 0 && model->tags.size() >= kMostTags)
    return ModelFault{
        "model " + model->name + " has " + std::to_string(kMostTags) + " tags, and that is the most",
        "move one of them"};
  return std::nullopt;
}

std::variant<ModelRegistry::Found, ModelFault> ModelRegistry::find_former(std::string_view name,
                                                                          std::string_view tag) const {
  auto now = resolve(name, tag);
  auto* found = std::get_if<Found>(&now);
  if (found == nullptr) return now;
  if (found->tag.empty()) return explain_tag(tag);
  const auto& moves = found->model->tags.find(tag)->second;
  if (moves.size() < 2)
    return ModelFault{"tag " + found->tag + " of model " + found->model->name +
                          " has pointed at nothing before version " + std::to_string(moves.back()),
                      "ds-submit promote moves it to any version"};
  return Found{found->model, found->model->find(moves[moves.size() - 2]), found->tag};
}

bool ModelRegistry::add(const std::string& name, const ModelVersion& version) {
  if (!is_identifier(name) || version.source.empty() || version.step == 0 || check_room(name, {}))
    return false;
  const RegisteredModel* known = find(name);
  if (version.number != (known == nullptr ? 1 : known->last + 1)) return false;
  RegisteredModel& model = models_[name];
  model.name = name;
  model.versions.push_back(version);
  model.last = version.number;
  return true;
}

std::optional<ModelFault> ModelRegistry::check_removal(std::string_view name, std::uint64_t version) const {
  const auto number = std::to_string(version);
  const auto found = resolve(name, version == 0 ? kNewest : std::string_view(number));
  if (const auto* fault = std::get_if<ModelFault>(&found)) return *fault;
  if (version == 0) return std::nullopt;
  const RegisteredModel& model = *std::get<Found>(found).model;
  for (const auto& [tag, moves] : model.tags) {
    if (moves.back() == version)
      return ModelFault{"tag " + tag + " of model " + model.name + " points at version " + number,
                        "ds-submit promote " + model.name + "@VERSION " + tag + " lets it point at another"};
  }
  if (model.versions.size() == 1)
    return ModelFault{"version " + number + " is the only one of model " + model.name,
                      "ds-submit unregister " + model.name + " removes the model"};
  return std::nullopt;
}

bool ModelRegistry::remove(const std::string& name, std::uint64_t version) {
  if (check_removal(name, version)) return false;
  if (version == 0) return models_.erase(name) == 1;
  RegisteredModel& model = models_.find(name)->second;
  std::erase_if(model.versions, [version](const ModelVersion& one) { return one.number == version; });
  for (auto& [tag, moves] : model.tags) {
    std::erase(moves, version);
    moves.erase(std::ranges::unique(moves).begin(), moves.end());
  }
  return true;
}

bool ModelRegistry::point(const std::string& name, const std::string& tag, std::uint64_t version, bool back) {
  const auto found = models_.find(name);
  if (found == models_.end() || !is_tag(tag) || found->second.find(version) == nullptr) return false;
  RegisteredModel& model = found->second;
  const auto known = model.tags.find(tag);
  if (known == model.tags.end() && (back || model.tags.size() >= kMostTags)) return false;
  auto& moves = model.tags[tag];
  if (back) {
    if (moves.size() < 2 || moves[moves.size() - 2] != version) return false;
    moves.pop_back();
    return true;
  }
  if (!moves.empty() && moves.back() == version) return false;
  if (moves.size() == kMostMoves) moves.erase(moves.begin());
  moves.push_back(version);
  return true;
}

std::vector<std::uint64_t> ModelRegistry::steps_of(std::string_view source) const {
  std::vector<std::uint64_t> steps;
  for (const auto& [name, model] : models_) {
    for (const auto& version : model.versions) {
      if (version.source == source) steps.push_back(version.step);
    }
  }
  return steps;
}

std::uint64_t ModelRegistry::next_file() const {
  const auto steps = steps_of(kModelFiles);
  return steps.empty() ? 1 : *std::ranges::max_element(steps) + 1;
}

nlohmann::json ModelRegistry::to_json() const {
  auto list = nlohmann::json::array();
  for (const auto& [name, model] : models_) {
    auto versions = nlohmann::json::array();
    for (const auto& one : model.versions)
      versions.push_back({one.source, one.step, one.from, one.digest, one.metrics, one.added_ms, one.number});
    list.push_back(
        {{"name", name}, {"versions", std::move(versions)}, {"last", model.last}, {"tags", model.tags}});
  }
  return list;
}

ModelRegistry ModelRegistry::from_json(const nlohmann::json& document) {
  ModelRegistry registry;
  for (const auto& entry : document) {
    const auto name = entry.at("name").get<std::string>();
    RegisteredModel& model = registry.models_[name];
    model.name = name;
    for (const auto& one : entry.at("versions")) {
      // Before versions could be removed they had no gaps, and their numbers were left out.
      const std::uint64_t number = one.size() > 6 ? one.at(6).get<std::uint64_t>() : model.last + 1;
      model.versions.push_back({number, one.at(0), one.at(1), one.at(2), one.at(3),
                                one.at(4).get<std::map<std::string, double>>(), one.at(5)});
      model.last = number;
    }
    model.last = entry.value("last", model.last);
    entry.at("tags").get_to(model.tags);
  }
  return registry;
}

}  // namespace ds::scheduler
