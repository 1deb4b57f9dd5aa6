#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "actors/train/safetensors.hpp"
#include "actors/train/session.hpp"
#include "actors/train/state_description.hpp"
#include "actors/train/text_classifier.hpp"
#include "actors/train/vocabulary.hpp"

namespace ds::train {
namespace {

/// The parameters of a state, aligned.
Result<std::vector<float>> parameters_of(const StateImage& state, const ModelShape& shape) {
  const auto found = std::ranges::find(state.tensors, "parameters", &std::pair<std::string, Buffer>::first);
  if (found == state.tensors.end()) return fail(ErrorCode::data_loss, "the state has no parameters");
  const std::uint64_t count = parameter_count(shape);
  if (found->second.size() != count * sizeof(float)) {
    return fail(ErrorCode::data_loss,
                fmt::format("the state's parameters have {} bytes where its model needs {}",
                            found->second.size(), count * sizeof(float)));
  }
  std::vector<float> parameters(count);
  std::memcpy(parameters.data(), found->second.bytes().data(), found->second.size());
  return parameters;
}

Buffer safetensors_of(const StateImage& state, const ModelShape& shape, std::span<const float> parameters) {
  std::vector<NamedFloats> tensors;
  for (const ParameterSlot& slot : parameter_slots(shape)) {
    tensors.push_back({slot.name, slot.shape, parameters.subspan(slot.offset, slot.size)});
  }
  return to_safetensors(std::move(tensors), {{"format", "pt"}, {"description", state.description}});
}

/// What a reader of the archive needs besides the model to turn text into numbers and numbers into labels.
std::map<std::string, std::string> extra_files_of(const StateDescription& description) {
  const nlohmann::json preprocessing{{"length", description.model.length},
                                     {"lower_case", "ascii"},
                                     {"word", "[A-Za-z0-9\\x80-\\xff]+ over UTF-8 bytes"},
                                     {"pad", Vocabulary::kPadding},
                                     {"unknown", Vocabulary::kUnknown}};
  return {{"vocabulary.json", nlohmann::json(description.vocabulary).dump()},
          {"labels.json", nlohmann::json(description.labels).dump()},
          {"preprocessing.json", preprocessing.dump()}};
}

}  // namespace

Result<Buffer> export_model(const StateImage& state, ExportFormat format) {
  const Result<StateDescription> description = to_state_description(state.description);
  if (!description) return tl::unexpected(description.error());
  const ModelShape& shape = description->model;
  const Result<std::vector<float>> parameters = parameters_of(state, shape);
  if (!parameters) return tl::unexpected(parameters.error());
  if (format == ExportFormat::safetensors) return safetensors_of(state, shape, *parameters);
  Result<std::unique_ptr<TextClassifier>> model = TextClassifier::create(shape, 1);
  if (!model) return tl::unexpected(model.error());
  std::ranges::copy(*parameters, (*model)->parameters().begin());
  if (format == ExportFormat::state_dict) return (*model)->to_state_dict();
  return (*model)->to_torchscript(extra_files_of(*description));
}

}  // namespace ds::train
